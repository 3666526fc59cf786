import { retry } from '../concurrency/retry.ts'
import { isConnectionError } from '../concurrency/transient.ts'
import type { Database } from '../database/database.ts'
import { sql } from '../database/sql.ts'

const BACKOFF = { firstMs: 100, maxMs: 5000, isRetryable: isConnectionError }

const known = new WeakMap<Database, Promise<string>>()

/**
 * Where results for this application go: the name of its reply queue (rpc://), and the mark of its own on documents in Redis. All of its
 * processes have the same one. Asked for once; waits while the database is away.
 */
export function replyAddress(database: Database): Promise<string> {
  const asked =
    known.get(database) ??
    retry(() => database.query<{ id: string }>(sql('application-id'), [database.schema]), BACKOFF).then(
      ([row]) => `onedyno.reply.${row?.id}`,
    )
  known.set(database, asked)
  asked.catch(() => known.delete(database))
  return asked
}
