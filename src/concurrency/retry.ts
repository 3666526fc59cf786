import { sleep } from './sleep.ts'

export interface Backoff {
  /** Longest pause before the second attempt, in milliseconds. */
  readonly firstMs: number
  /** Longest pause before any attempt, in milliseconds. */
  readonly maxMs: number
}

/**
 * Returns the pause in milliseconds after failed attempt number `attempt` (the first attempt is 0). It doubles with each
 * attempt. The upper half of the pause is random, so that many clients that failed together do not come back together.
 */
export function pauseMs(attempt: number, backoff: Backoff, random: () => number = Math.random): number {
  return Math.min(backoff.maxMs, backoff.firstMs * 2 ** Math.min(attempt, 30)) * (0.5 + random() / 2)
}

export interface RetryOptions extends Backoff {
  /** Returns true if the failure is transient, so that another attempt may succeed. See transient.ts. */
  readonly isRetryable: (error: unknown) => boolean
  /** When the signal aborts, the wait ends and the last error is thrown. */
  readonly signal?: AbortSignal
  /** No attempt begins more than this many milliseconds after the first attempt. Default: no limit. */
  readonly giveUpAfterMs?: number
  /** Called before each pause. */
  readonly onRetry?: (error: unknown, attempt: number, pauseMs: number) => void
}

/**
 * Runs `work` until it succeeds. Throws its last error if the error is not retryable, if the signal aborts or if the time is up.
 */
export async function retry<T>(work: () => Promise<T>, options: RetryOptions): Promise<T> {
  const giveUpAt = Date.now() + (options.giveUpAfterMs ?? Number.POSITIVE_INFINITY)
  for (let attempt = 0; ; attempt++) {
    try {
      return await work()
    } catch (error) {
      const pause = pauseMs(attempt, options)
      const over = options.signal?.aborted || Date.now() + pause > giveUpAt
      if (over || !options.isRetryable(error)) throw error
      options.onRetry?.(error, attempt, pause)
      if (!(await sleep(pause, options.signal))) throw error
    }
  }
}
