import type { Channel, ConsumeMessage } from 'amqplib'
import { createMutex } from '../../concurrency/mutex.ts'
import type { Log } from '../../log.ts'
import type { AmqpTopology } from './topology.ts'

/** The AMQP consumers of one channel, one per queue. Its methods run one after the other, and reject when the channel breaks. */
export interface AmqpSubscriptions {
  /**
   * Sets how many unacknowledged messages each consumer may hold. RabbitMQ keeps the limit that a consumer started with, and from 4.3 on it
   * refuses a limit per channel, which could be changed. So each consumer is replaced. Messages of the old one stay with this worker.
   */
  limit(prefetch: number): Promise<void>
  /** Stops deliveries from a queue until `resume`. */
  pause(queue: string): Promise<void>
  resume(): Promise<void>
  readonly paused: number
  /** Stops all deliveries. Resolves when no more will arrive. */
  stop(): Promise<void>
}

export interface AmqpSubscriptionsParts {
  readonly channel: Channel
  readonly topology: AmqpTopology
  readonly log: Log
  /** No other consumer may exist. If one does, RabbitMQ answers 403 ACCESS_REFUSED and closes the channel. */
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
    // An exclusive consumer also excludes its own successor.
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

  /** The queue was deleted, or its leader moved. If subscribing again fails, the channel closes, and the consumer opens another one. */
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
