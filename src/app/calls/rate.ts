import { AppError } from '../../errors.ts'

/** How often a task may begin. */
export interface RateLimit {
  /** Milliseconds from one begin to the next. */
  readonly intervalMs: number
  /** `app`: over all workers; `worker`: each by itself. */
  readonly scope: 'worker' | 'app'
}

const PERIOD_MS: Readonly<Record<string, number>> = { s: 1000, m: 60_000, h: 3_600_000 }
/** Ten years between two tasks: more is a slip of the keyboard. */
const MAX_INTERVAL_MS = 3.2e11

/**
 * `10/m`, `0.5/s`, `3/h`; without a unit per second, as Celery reads it. 0, null, undefined and an empty text: no limit.
 * @throws AppError TASK_OPTION_INVALID
 */
export function parseRate(limit: string | number | null | undefined): number | undefined {
  if (limit === undefined || limit === null || limit === '' || limit === 0) return undefined
  const [, count = '', unit = 's'] = /^(\d+(?:\.\d+)?)(?:\/([smh]))?$/.exec(String(limit).trim()) ?? []
  if (count !== '' && Number(count) === 0) return undefined
  const intervalMs = PERIOD_MS[unit]! / Number(count)
  if (count === '' || !(intervalMs > 0 && intervalMs <= MAX_INTERVAL_MS)) {
    throw new AppError('TASK_OPTION_INVALID', `rateLimit ${shown(limit)} is not like 10/m: a number of tasks, and /s, /m or /h`)
  }
  return intervalMs
}

/** @throws AppError TASK_OPTION_INVALID */
export function rateLimitOf(
  option: string | number | { readonly limit: string | number; readonly scope: 'worker' | 'app' } | undefined,
): RateLimit | undefined {
  const { limit, scope } = typeof option === 'object' && option !== null ? option : { limit: option, scope: 'worker' as const }
  if (scope !== 'worker' && scope !== 'app')
    throw new AppError('TASK_OPTION_INVALID', `the scope of rateLimit is ${shown(scope)}, not worker or app`)
  const intervalMs = parseRate(limit)
  return intervalMs === undefined ? undefined : { intervalMs, scope }
}

const shown = (value: unknown) => (JSON.stringify(value) ?? String(value)).slice(0, 80)
