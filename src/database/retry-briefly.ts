import { retry } from '../concurrency/retry.ts'
import { isTransient } from '../concurrency/transient.ts'
import { AppError } from '../errors.ts'

/** The retry options for statements that may be repeated even if an answer was lost. */
export const BRIEF_RETRY = { firstMs: 50, maxMs: 1000, giveUpAfterMs: 5000, isRetryable: isTransient }

/**
 * Repeats `work` while PostgreSQL is away or does not write, for at most 5 seconds.
 * @throws AppError BROKER_UNREACHABLE after that, with `failed` in its message; every other error at once
 */
export async function retryBriefly<T>(work: () => Promise<T>, failed: string): Promise<T> {
  try {
    return await retry(work, BRIEF_RETRY)
  } catch (cause) {
    if (!isTransient(cause)) throw cause
    throw new AppError('BROKER_UNREACHABLE', `PostgreSQL ${failed}: ${(cause as Error).message}`, { cause })
  }
}
