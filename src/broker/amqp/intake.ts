import type { Channel, ConsumeMessage } from 'amqplib'
import { pauseMs } from '../../concurrency/retry.ts'
import { sleep } from '../../concurrency/sleep.ts'
import type { Log } from '../../log.ts'
import type { ConsumeOptions } from '../broker.ts'
import type { LifeCycle } from '../consumer/life-cycle.ts'
import type { Prefetch } from '../consumer/prefetch.ts'
import { type AmqpAcks, createAmqpAcks } from './acks.ts'
import { withAnswerTimeout } from './answer-timeout.ts'
import type { AmqpConnection } from './connection.ts'
import { type AmqpSubscriptions, createAmqpSubscriptions } from './subscriptions.ts'
import type { AmqpTopology } from './topology.ts'

const BACKOFF = { firstMs: 100, maxMs: 5000 }
/** Largest prefetch limit. Shared plans of hosting providers close a connection with more than 1,000 unacknowledged messages. */
const MAX_PREFETCH = 800
/** Minimum time between two adjustments of the prefetch limit, because each adjustment costs two round trips. Milliseconds. */
const ADJUST_EVERY_MS = 100

export interface AmqpIntakeParts {
  readonly connection: AmqpConnection
  readonly topology: AmqpTopology
  readonly life: LifeCycle
  readonly prefetch: Pick<Prefetch, 'target'>
  readonly log: Log
  readonly onMessage: (from: AmqpAcks, queue: string, raw: ConsumeMessage) => void
  /** Called when the channel has closed: its unacknowledged messages are in their queues again. */
  readonly onChannelClosed: (from: AmqpAcks) => void
}

/** The channel that consumes. It is opened again whenever it closes. */
export interface AmqpIntake {
  /** Adjusts the prefetch limit to the measured rate. */
  adjust(): void
  /** Stops deliveries from a queue until `resume`. */
  pause(queue: string): Promise<void>
  resume(): void
  /** Stops all deliveries. Resolves when no further message can arrive, or if the server does not answer in time. */
  stop(): Promise<void>
  /** Closes the channel. */
  close(): Promise<void>
}

/** `opening`: the server has a channel, but no consumer on it yet. */
type ChannelState =
  | { readonly state: 'closed' }
  | { readonly state: 'opening'; readonly channel: Channel }
  | {
      readonly state: 'consuming'
      readonly channel: Channel
      readonly subscriptions: AmqpSubscriptions
      /** The number of unacknowledged messages that all consumers of the channel may hold together. */
      readonly limit: number
      readonly adjustedAt: number
    }

const CLOSED: ChannelState = { state: 'closed' }

/** Opens the channel and keeps it open until the consumer stops. */
export function startAmqpIntake(parts: AmqpIntakeParts, options: ConsumeOptions): AmqpIntake {
  const { connection, life, prefetch, log } = parts
  const { concurrency, queues } = options
  let current = CLOSED

  const open = async (): Promise<{ closed: Promise<void> }> => {
    life.send('recovery-started')
    for (const queue of queues) await parts.topology.declare(queue)
    const channel = await connection.createChannel()
    // The consumer was closed during the opening. Without this line the new channel would stay open.
    if (life.closed.aborted) await channel.close()
    current = { state: 'opening', channel }
    channel.on('error', (error) =>
      log.warn({ reason: error.message }, 'consuming channel closed by RabbitMQ, opening another one'),
    )
    const acks = createAmqpAcks(channel)
    const closed = new Promise<void>((resolve) => {
      channel.on('close', () => {
        current = CLOSED
        life.send('link-failed')
        parts.onChannelClosed(acks)
        resolve()
      })
    })
    await consumeOn(channel, acks)
    return { closed }
  }

  const consumeOn = async (channel: Channel, acks: AmqpAcks) => {
    const subscriptions = createAmqpSubscriptions({ ...parts, channel, exclusive: options.inOrder }, queues, (queue, raw) =>
      parts.onMessage(acks, queue, raw),
    )
    await withAnswerTimeout('a consumer', subscriptions.limit(concurrency)).catch((error) => {
      channel.close().catch(ignore)
      throw error
    })
    current = { state: 'consuming', channel, subscriptions, limit: concurrency, adjustedAt: 0 }
    life.send('recovered')
    if (life.isStopped) await subscriptions.stop()
  }

  void keepOpen(parts, open)

  return {
    adjust() {
      if (current.state !== 'consuming' || life.isStopped || performance.now() - current.adjustedAt < ADJUST_EVERY_MS) return
      const wanted = limitFor(prefetch.target(), concurrency)
      if (wanted <= current.limit && wanted > current.limit / 4) return
      current = { ...current, limit: wanted, adjustedAt: performance.now() }
      current.subscriptions.limit(Math.ceil(Math.max(concurrency, wanted / queues.length))).catch(ignore)
    },
    async pause(queue) {
      if (current.state === 'consuming') await withAnswerTimeout('a pause', current.subscriptions.pause(queue)).catch(ignore)
    },
    resume() {
      if (current.state === 'consuming' && current.subscriptions.paused > 0 && !life.isStopped)
        current.subscriptions.resume().catch(ignore)
    },
    async stop() {
      // While RabbitMQ blocks the connection, it reads no requests and would not answer.
      if (current.state === 'consuming' && connection.blockedSince === undefined)
        await withAnswerTimeout('the end of a consumer', current.subscriptions.stop()).catch(ignore)
    },
    async close() {
      if (current.state !== 'closed' && connection.blockedSince === undefined)
        await withAnswerTimeout('the end of a channel', current.channel.close()).catch(ignore)
    },
  }
}

/** Opens a channel, waits until it closes and opens the next one, until the consumer stops. */
async function keepOpen({ connection, life, log }: AmqpIntakeParts, open: () => Promise<{ closed: Promise<void> }>) {
  for (let attempt = 0; !life.isStopped; ) {
    try {
      const { closed } = await open()
      attempt = 0
      await closed
    } catch (error) {
      if (connection.closed) return
      life.send('link-failed')
      log.debug({ reason: (error as Error).message }, 'cannot consume from RabbitMQ now, trying again')
    }
    if (!life.isStopped) await sleep(pauseMs(attempt++, BACKOFF), life.closed)
  }
}

/**
 * Returns the prefetch limit: hundreds of messages for fast tasks, one for each slot for slow tasks. The limit grows in powers
 * of two, so that small changes of the rate cause no adjustment.
 */
function limitFor(target: number, concurrency: number): number {
  if (target <= concurrency) return concurrency
  return Math.max(concurrency, Math.min(MAX_PREFETCH, concurrency * 2 ** Math.ceil(Math.log2(target / concurrency))))
}

const ignore = () => {}
