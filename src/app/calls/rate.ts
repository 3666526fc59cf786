import { AppError } from '../../errors.ts'

/** How often a task may start. */
export interface RateLimit {
  /** Milliseconds from one start to the next. */
  readonly intervalMs: number
  /** `app`: the limit holds for all workers together. `worker`: it holds for each worker. */
  readonly scope: 'worker' | 'app'
}

const PERIOD_MS: Readonly<Record<string, number>> = { s: 1000, m: 60_000, h: 3_600_000 }
/** Ten years between two starts. A longer interval is most likely a typing error. */
const MAX_INTERVAL_MS = 3.2e11

/**
 * Parses a rate such as `10/m`, `0.5/s` or `3/h`. A rate without a unit counts per second, as with Celery. 0, null, undefined
 * and an empty text mean no limit.
 * @returns milliseconds from one start to the next
 * @throws AppError TASK_OPTION_INVALID
 */
export function parseRate(limit: string | number | null | undefined): number | undefined {
  if (limit === undefined || limit === null || limit === '' || limit === 0) return undefined
  const [, count = '', unit = 's'] = /^(\d+(?:\.\d+)?)(?:\/([smh]))?$/.exec(String(limit).trim()) ?? []
  if (count !== '' && Number(count) === 0) return undefined
  const intervalMs = PERIOD_MS[unit]! / Number(count)
  if (count === '' || !(intervalMs > 0 && intervalMs <= MAX_INTERVAL_MS)) {
    throw new AppError(
      'TASK_OPTION_INVALID',
      `rateLimit must be a number of tasks with /s, /m or /h, such as "10/m", not ${shown(limit)}`,
    )
  }
  return intervalMs
}

/** Returns the rate limit of a task, or undefined if it has none. @throws AppError TASK_OPTION_INVALID */
export function rateLimitOf(
  option: string | number | { readonly limit: string | number; readonly scope: 'worker' | 'app' } | undefined,
): RateLimit | undefined {
  const { limit, scope } = typeof option === 'object' && option !== null ? option : { limit: option, scope: 'worker' as const }
  if (scope !== 'worker' && scope !== 'app')
    throw new AppError('TASK_OPTION_INVALID', `the scope of rateLimit must be "worker" or "app", not ${shown(scope)}`)
  const intervalMs = parseRate(limit)
  return intervalMs === undefined ? undefined : { intervalMs, scope }
}

const shown = (value: unknown) => (JSON.stringify(value) ?? String(value)).slice(0, 80)
