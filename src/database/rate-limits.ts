import { retry } from '../concurrency/retry.ts'
import { isConnectionError } from '../concurrency/transient.ts'
import type { Database } from './database.ts'
import { sql } from './sql.ts'

/** Places under one limit that are wanted at once. */
export interface PermitRequest {
  /** What the limit is of, and how much: one row. */
  readonly key: string
  readonly intervalMs: number
  readonly permits: number
}

/** Where limits over all workers are kept. */
export interface RateLimits {
  /** One statement for all; keys must differ. @returns milliseconds from now until the first place of each: 0 or less is now */
  take(asked: readonly PermitRequest[]): Promise<readonly number[]>
}

const BACKOFF = { firstMs: 100, maxMs: 2000 }

/**
 * While the database is away it is asked again until `signal` aborts: what is to be limited could not be recorded either. An answer that
 * was lost costs the permits that it told of, never a task.
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
