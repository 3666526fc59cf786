import type { Channel, ConsumeMessage } from 'amqplib'
import { createMutex } from '../../concurrency/mutex.ts'
import type { Log } from '../../log.ts'
import type { AmqpTopology } from './topology.ts'

/**
 * The AMQP consumers of one channel, one for each queue. The methods run one after the other, and reject if the channel breaks.
 */
export interface AmqpSubscriptions {
  /**
   * Sets how many unacknowledged messages each consumer may hold. RabbitMQ does not change the limit of a running consumer, and
   * from 4.3 on it refuses limits of whole channels, which can be changed. So each consumer is replaced by a new one. Messages
   * of the old consumer stay with this worker.
   */
  limit(prefetch: number): Promise<void>
  /** Stops deliveries from a queue until `resume`. */
  pause(queue: string): Promise<void>
  resume(): Promise<void>
  readonly paused: number
  /** Stops all deliveries. Resolves when no further message can arrive. */
  stop(): Promise<void>
}

export interface AmqpSubscriptionsParts {
  readonly channel: Channel
  readonly topology: AmqpTopology
  readonly log: Log
  /**
   * True: no other consumer may exist on the queues. If another exists, RabbitMQ answers 403 ACCESS_REFUSED and closes the
   * channel.
   */
  readonly exclusive: boolean | undefined
}

export function createAmqpSubscriptions(
  { channel, topology, log, exclusive = false }: AmqpSubscriptionsParts,
  queues: readonly string[],
  onMessage: (queue: string, message: ConsumeMessage) => void,
): AmqpSubscriptions {
  const tags = new Map<string, string>()
  const paused = new Set<string>()
  let stopped = false
  const changes = createMutex()

  const subscribe = async (queue: string) => {
    if (stopped || paused.has(queue)) return
    // An exclusive consumer must be cancelled first, because it also excludes its own successor.
    if (exclusive) await cancel(queue)
    const former = tags.get(queue)
    const take = (message: ConsumeMessage | null) => {
      if (message === null) cancelled(queue)
      else onMessage(queue, message)
    }
    const { consumerTag } = await channel.consume(queue, take, { exclusive })
    tags.set(queue, consumerTag)
    if (former !== undefined) await channel.cancel(former)
  }

  /**
   * Called when the server cancelled a consumer, because its queue was deleted or its leader moved. Subscribes again. If this
   * fails, the channel closes, and another channel is opened.
   */
  const cancelled = (queue: string) => {
    log.warn({ queue }, 'RabbitMQ cancelled the consumer, subscribing again')
    tags.delete(queue)
    topology.forget(queue)
    changes
      .run(async () => {
        await topology.declare(queue)
        await subscribe(queue)
      })
      .catch(() => channel.close().catch(() => {}))
  }

  const cancel = async (queue: string) => {
    const tag = tags.get(queue)
    tags.delete(queue)
    if (tag !== undefined) await channel.cancel(tag)
  }

  return {
    limit: (prefetch) =>
      changes.run(async () => {
        await channel.prefetch(prefetch)
        for (const queue of queues) await subscribe(queue)
      }),
    pause(queue) {
      paused.add(queue)
      return changes.run(() => cancel(queue))
    },
    resume() {
      const back = [...paused]
      paused.clear()
      return changes.run(async () => {
        for (const queue of back) await subscribe(queue)
      })
    },
    get paused() {
      return paused.size
    },
    stop() {
      stopped = true
      return changes.run(async () => {
        for (const queue of [...tags.keys()]) await cancel(queue)
      })
    },
  }
}
