import { retry } from '../concurrency/retry.ts'
import { isTransient } from '../concurrency/transient.ts'
import type { Database } from '../database/database.ts'
import { sql } from '../database/sql.ts'

const BACKOFF = { firstMs: 100, maxMs: 5000, isRetryable: isTransient }

const known = new WeakMap<Database, Promise<string>>()

/**
 * Returns the address for results of this application: the name of its reply queue (rpc://) and the mark on its documents in
 * Redis. All processes of the application have the same address. Reads the address once from the database; waits while the
 * database is away.
 */
export function replyAddress(database: Database): Promise<string> {
  const address =
    known.get(database) ??
    retry(() => database.query<{ id: string }>(sql('application-id'), [database.schema]), BACKOFF).then(
      ([row]) => `onedyno.reply.${row?.id}`,
    )
  known.set(database, address)
  address.catch(() => known.delete(database))
  return address
}
