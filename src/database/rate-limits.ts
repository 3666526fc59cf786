import { retry } from '../concurrency/retry.ts'
import { isTransient } from '../concurrency/transient.ts'
import type { Database } from './database.ts'
import { sql } from './sql.ts'

/** Several permits of one limit, taken together. */
export interface PermitRequest {
  /** Names the limit and its rate. Each key has one row. */
  readonly key: string
  readonly intervalMs: number
  readonly permits: number
}

/** Rate limits over all workers. */
export interface RateLimits {
  /**
   * Takes permits in one statement. Each key may occur once.
   * @returns for each key the milliseconds until its first permit; 0 or less means now
   */
  take(asked: readonly PermitRequest[]): Promise<readonly number[]>
}

const BACKOFF = { firstMs: 100, maxMs: 2000 }

/**
 * While the database is away, repeats the statement until `signal` aborts: without the database the outcomes of the tasks could
 * not be stored either. If an answer is lost, its permits are lost, but no task is.
 */
export function createRateLimits(database: Database, signal?: AbortSignal): RateLimits {
  const options = { ...BACKOFF, isRetryable: isTransient, ...(signal === undefined ? {} : { signal }) }
  return {
    async take(asked) {
      const values = [asked.map(({ key }) => key), asked.map(({ intervalMs }) => intervalMs), asked.map(({ permits }) => permits)]
      const rows = await retry(() => database.query<{ key: string; next_ms: number }>(sql('rate-limit-take'), values), options)
      const next = new Map(rows.map((row) => [row.key, row.next_ms]))
      return asked.map(({ key, intervalMs, permits }) => next.get(key)! - permits * intervalMs)
    },
  }
}
