import { createGroupCommit } from '../../concurrency/group-commit.ts'
import { retry } from '../../concurrency/retry.ts'
import { isSafeToRepeat } from '../../concurrency/transient.ts'
import type { Config } from '../../config.ts'
import type { Database } from '../../database/database.ts'
import { messageColumns } from '../../database/message-columns.ts'
import { partialPublishError, publishError } from '../../database/publish-error.ts'
import { sql } from '../../database/sql.ts'
import { AppError } from '../../errors.ts'
import type { Log } from '../../log.ts'
import type { Message } from '../../message/message.ts'
import type { Broker, QueueDepth } from '../broker.ts'
import { createPostgresConsumer } from './consumer.ts'

const BACKOFF = { firstMs: 50, maxMs: 1000 }

/** A broker in PostgreSQL. No other server has to be installed, and messages are as durable as the database. */
export function createPostgresBroker(database: Database, config: Pick<Config, 'publishTimeoutMs'>, log: Log): Broker {
  /** Retries only if nothing was stored. If a connection broke, the messages may already be stored. */
  const insert = async (messages: readonly Message[]) => {
    const values = [...messageColumns(messages), database.channel('message')]
    try {
      await retry(() => database.query(sql('message-publish'), values), {
        ...BACKOFF,
        isRetryable: isSafeToRepeat,
        giveUpAfterMs: config.publishTimeoutMs,
      })
    } catch (cause) {
      throw publishError(cause)
    }
  }

  const publishing = createGroupCommit(insert, (error) => error instanceof AppError && error.code === 'MESSAGE_REFUSED')

  return {
    kind: 'postgres',
    async publish(messages) {
      const each = messages.map((message) => publishing.add(message))
      try {
        await Promise.all(each)
      } catch (error) {
        throw await partialPublishError(error, each)
      }
    },
    consume: (options) => createPostgresConsumer(database, options, log),
    async relayDue(limit) {
      const [row] = await database.query<{ moved: number; next_due_ms: number | null }>(sql('outbox-to-message'), [
        limit,
        database.channel('message'),
      ])
      return { moved: row?.moved ?? 0, nextDueMs: row?.next_due_ms ?? null }
    },
    depths: (queues) => database.query<QueueDepth & Record<string, unknown>>(sql('message-depths'), [queues]),
    async purge(queue) {
      const [row] = await database.query<{ purged: number }>(sql('message-purge'), [queue])
      return row?.purged ?? 0
    },
    async control() {
      const { createPostgresControl } = await import('./control.ts')
      return createPostgresControl(database, log)
    },
    async close() {
      await publishing.idle()
    },
  }
}
