import { setTimeout as delay } from 'node:timers/promises'

export interface Backoff {
  /** Longest pause before the second attempt, in milliseconds. */
  readonly firstMs: number
  /** No pause is longer, in milliseconds. */
  readonly maxMs: number
}

/** The pause before attempt `attempt + 1` (the first attempt is 0): exponential, with the upper half random so that many do not come back at once. */
export function pauseMs(attempt: number, backoff: Backoff, random: () => number = Math.random): number {
  return Math.min(backoff.maxMs, backoff.firstMs * 2 ** Math.min(attempt, 30)) * (0.5 + random() / 2)
}

export interface RetryOptions extends Backoff {
  /** Is another attempt worth it? The adapter knows its error codes; this module does not. */
  readonly isRetryable: (error: unknown) => boolean
  /** Ends the waiting; the last error is thrown. */
  readonly signal?: AbortSignal
  /** No attempt begins later than this many milliseconds after the first. Default: for ever. */
  readonly giveUpAfterMs?: number
  /** Called before each pause. */
  readonly onRetry?: (error: unknown, attempt: number, pauseMs: number) => void
}

/** Runs `work` until it succeeds, until its failure is not retryable, until the signal aborts or the time is up; then throws that failure. */
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

/** Waits `ms` milliseconds; false as soon as the signal aborts. Never throws. */
export async function sleep(ms: number, signal?: AbortSignal): Promise<boolean> {
  try {
    await delay(ms, undefined, signal === undefined ? {} : { signal })
    return true
  } catch {
    return false
  }
}

/** Resolves when the signal aborts. */
export const aborted = (signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    if (signal.aborted) resolve()
    else signal.addEventListener('abort', () => resolve(), { once: true })
  })
