import type { Channel } from 'amqplib'
import type { Config } from '../../config.ts'
import type { Log } from '../../log.ts'
import type { AmqpConnection } from './connection.ts'
import { withAnswerTimeout } from './answer-timeout.ts'

/** AMQP 0-9-1 reply codes: 403 ACCESS_REFUSED, 404 NOT_FOUND, 405 RESOURCE_LOCKED, 406 PRECONDITION_FAILED. */
const PASSIVE_ON = [403, 405, 406]
const NOT_FOUND = 404

/** Queues as they are declared here, and what the server says of them. */
export interface AmqpTopology {
  /** Makes sure that a queue exists, once per connection: on shared plans an unused queue is deleted, and declaring it is a use. */
  declare(queue: string): Promise<void>
  /** It does not exist any more: the next `declare` asks the server again. */
  forget(queue: string): void
  /** Ready messages; 0 when there is no such queue. */
  ready(queue: string): Promise<number>
  /** @returns how many messages were removed */
  purge(queue: string): Promise<number>
}

/**
 * Declares as Celery does by default (durable, no arguments), so that either side may come first. A queue that exists with other arguments
 * is used as it is: who made it had a reason, and to fight about it would only close the channel again and again.
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
      await apart(connection, (channel) => channel.assertQueue(queue, { durable: true, arguments: argumentsOf(config) }))
    } catch (error) {
      if (!PASSIVE_ON.includes((error as { code?: number }).code ?? 0)) throw error
      await apart(connection, (channel) => channel.checkQueue(queue))
      log.info({ queue, reason: (error as Error).message }, 'queue exists with other properties, used as it is')
    }
  }

  return {
    declare(queue) {
      const known = declared.get(queue)
      if (known !== undefined) return known
      const declaring = declare(queue).catch((error) => {
        if (declared.get(queue) === declaring) declared.delete(queue)
        throw error
      })
      declared.set(queue, declaring)
      return declaring
    },
    forget: (queue) => void declared.delete(queue),
    ready: (queue) => orNone(apart(connection, (channel) => channel.checkQueue(queue))),
    purge: (queue) => orNone(apart(connection, (channel) => channel.purgeQueue(queue))),
  }
}

function argumentsOf({ queueType, queueMaxPriority }: Pick<Config, 'queueType' | 'queueMaxPriority'>): Record<string, unknown> {
  // Quorum queues know no x-max-priority: the declaration would be refused.
  if (queueType === 'quorum') return { 'x-queue-type': 'quorum' }
  return queueMaxPriority > 0 ? { 'x-max-priority': queueMaxPriority } : {}
}

/** On a channel of its own: a refusal closes the channel, and nobody else's work with it. */
async function apart<T>(connection: AmqpConnection, work: (channel: Channel) => Promise<T>): Promise<T> {
  const channel = await connection.createChannel()
  channel.on('error', () => {})
  try {
    return await withAnswerTimeout('about a queue', work(channel))
  } finally {
    // Refused requests have closed it; one that is not answered is left to the server.
    channel.close().catch(() => {})
  }
}

async function orNone(asked: Promise<{ messageCount: number }>): Promise<number> {
  try {
    return (await asked).messageCount
  } catch (error) {
    if ((error as { code?: number }).code === NOT_FOUND) return 0
    throw error
  }
}
