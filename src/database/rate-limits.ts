import { retry } from '../concurrency/retry.ts'
import { isConnectionError } from '../concurrency/transient.ts'
import type { Database } from './database.ts'
import { sql } from './sql.ts'

/** Permits under one limit that are taken together. */
export interface PermitRequest {
  /** Names the limit and its rate; one row. */
  readonly key: string
  readonly intervalMs: number
  readonly permits: number
}

/** Rate limits over all workers. */
export interface RateLimits {
  /** Takes permits in one statement; keys must differ. @returns milliseconds until the first permit of each key; 0 or less is now */
  take(asked: readonly PermitRequest[]): Promise<readonly number[]>
}

const BACKOFF = { firstMs: 100, maxMs: 2000 }

/**
 * Repeats a statement until `signal` aborts while the database is away: the outcomes of limited tasks could not be stored either. A lost
 * answer costs its permits, never a task.
 */
export function createRateLimits(database: Database, signal?: AbortSignal): RateLimits {
  const options = { ...BACKOFF, isRetryable: isConnectionError, ...(signal === undefined ? {} : { signal }) }
  return {
    async take(asked) {
      const values = [asked.map(({ key }) => key), asked.map(({ intervalMs }) => intervalMs), asked.map(({ permits }) => permits)]
      const rows = await retry(() => database.query<{ key: string; next_ms: number }>(sql('rate-limit-take'), values), options)
      const next = new Map(rows.map((row) => [row.key, row.next_ms]))
      return asked.map(({ key, intervalMs, permits }) => next.get(key)! - permits * intervalMs)
    },
  }
}
