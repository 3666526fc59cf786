import type { Channel } from 'amqplib'
import type { Config } from '../../config.ts'
import type { Log } from '../../log.ts'
import type { QueueBinding } from '../control-transport.ts'
import { withAnswerTimeout } from './answer-timeout.ts'
import type { AmqpConnection } from './connection.ts'

/**
 * After these reply codes an existing queue is used as it is (AMQP 0-9-1): 403 ACCESS_REFUSED, 405 RESOURCE_LOCKED, 406
 * PRECONDITION_FAILED.
 */
const PASSIVE_ON = [403, 405, 406]
const NOT_FOUND = 404

/** Declares queues and reads their state. */
export interface AmqpTopology {
  /**
   * Declares a queue once per connection. Shared plans of hosting providers delete unused queues, and a declaration counts as
   * use.
   */
  declare(queue: string): Promise<void>
  /** Declares the queue and the exchange, both durable, and binds them. */
  bind(binding: QueueBinding): Promise<void>
  /** Notes that the queue was deleted: the next `declare` declares it again. */
  forget(queue: string): void
  /** Returns the number of ready messages; 0 if the queue does not exist. */
  ready(queue: string): Promise<number>
  /** @returns the number of removed messages */
  purge(queue: string): Promise<number>
}

/**
 * Declares queues as Celery does by default (durable, no arguments), so that either side may declare a queue first. A queue that
 * exists with other arguments is used as it is, because its creator chose them, and each further declaration would close the
 * channel again.
 */
export function createAmqpTopology(
  connection: AmqpConnection,
  config: Pick<Config, 'queueType' | 'queueMaxPriority'>,
  log: Log,
): AmqpTopology {
  const declared = new Map<string, Promise<void>>()
  connection.onChange(() => {
    if (connection.awaySince !== undefined) declared.clear()
  })

  const declare = async (queue: string) => {
    try {
      await onOwnChannel(connection, (channel) => channel.assertQueue(queue, { durable: true, arguments: argumentsOf(config) }))
    } catch (error) {
      if (!PASSIVE_ON.includes((error as { code?: number }).code ?? 0)) throw error
      await onOwnChannel(connection, (channel) => channel.checkQueue(queue))
      log.info({ queue, reason: (error as Error).message }, 'queue exists with other properties, used as it is')
    }
  }

  const declareOnce = (queue: string) => {
    const known = declared.get(queue)
    if (known !== undefined) return known
    const declaring = declare(queue).catch((error) => {
      if (declared.get(queue) === declaring) declared.delete(queue)
      throw error
    })
    declared.set(queue, declaring)
    return declaring
  }

  return {
    declare: declareOnce,
    async bind({ queue, exchange, type, routingKey }) {
      await declareOnce(queue)
      await onOwnChannel(connection, async (channel) => {
        await channel.assertExchange(exchange, type, { durable: true })
        await channel.bindQueue(queue, exchange, routingKey)
      })
    },
    forget: (queue) => void declared.delete(queue),
    ready: (queue) => countOrZero(onOwnChannel(connection, (channel) => channel.checkQueue(queue))),
    purge: (queue) => countOrZero(onOwnChannel(connection, (channel) => channel.purgeQueue(queue))),
  }
}

function argumentsOf({ queueType, queueMaxPriority }: Pick<Config, 'queueType' | 'queueMaxPriority'>): Record<string, unknown> {
  // RabbitMQ refuses x-max-priority for quorum queues.
  if (queueType === 'quorum') return { 'x-queue-type': 'quorum' }
  return queueMaxPriority > 0 ? { 'x-max-priority': queueMaxPriority } : {}
}

/** Runs `work` on a separate channel, because a refusal closes the channel and would end other work on it. */
async function onOwnChannel<T>(connection: AmqpConnection, work: (channel: Channel) => Promise<T>): Promise<T> {
  const channel = await connection.createChannel()
  channel.on('error', () => {})
  try {
    return await withAnswerTimeout('about a queue', work(channel))
  } finally {
    // The error is ignored, because a refusal has already closed the channel.
    channel.close().catch(() => {})
  }
}

async function countOrZero(asked: Promise<{ messageCount: number }>): Promise<number> {
  try {
    return (await asked).messageCount
  } catch (error) {
    if ((error as { code?: number }).code === NOT_FOUND) return 0
    throw error
  }
}
