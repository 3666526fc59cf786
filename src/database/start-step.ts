import { retry } from '../concurrency/retry.ts'
import { isTransient } from '../concurrency/transient.ts'

const BACKOFF = { firstMs: 100, maxMs: 2000 }

/**
 * Repeats one step of a start while its failure is transient: an exit would only mean another start. The step must be safe to repeat.
 * When `signal` aborts, the last error is thrown.
 */
export const startStep = <T>(step: () => Promise<T>, signal?: AbortSignal): Promise<T> =>
  retry(step, { ...BACKOFF, isRetryable: isTransient, ...(signal === undefined ? {} : { signal }) })
