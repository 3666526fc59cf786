import type { Log } from '../log.ts'

/** The first argument of a bound task (`bind: true`). */
export interface TaskContext {
  readonly id: string
  readonly task: string
  readonly queue: string
  /** The number of attempts before this one: 0 for the first attempt. */
  readonly retries: number
  readonly kwargs: Readonly<Record<string, unknown>>
  readonly headers: Readonly<Record<string, unknown>>
  readonly parentId: string | undefined
  readonly rootId: string
  /** The number of this attempt: 1 for the first, so `retries` + 1. */
  readonly attempt: number
  /**
   * Aborts at the soft time limit, when the task is revoked, and when the worker shuts down and cannot wait longer for the task.
   * `signal.reason` tells these cases apart.
   */
  readonly signal: AbortSignal
  /** A logger whose lines carry the task's name and id. The lines are stored with the run and shown on its page. */
  readonly log: Log
  /**
   * Reports progress. `AsyncResult.progress()` and the console show it, at most a few times a second. Never throws and never
   * waits.
   */
  progress(n: number, of?: number, note?: string): void
  /**
   * Ends this attempt and runs the task again later under the same id, as Celery's `self.retry` does. Always throws; do not
   * catch the error.
   * @throws Retry; if no attempt is left, `options.error`, or MaxRetriesExceededError if no error was given
   */
  retry(options?: RetryOptions): never
}

export interface RetryOptions {
  /** Seconds until the next attempt. Default: the back-off of the task, or else its `retryDelay`. */
  readonly countdown?: number
  /** The earliest time of the next attempt, instead of `countdown`. */
  readonly eta?: Date
  /** Largest number of attempts after the first, instead of the task's `maxRetries`; null: no limit. */
  readonly max?: number | null
  /** The reason for the retry. It is stored with the RETRY state, and thrown if no attempt is left. */
  readonly error?: unknown
}

/** How an attempt ended, for `app.after`. */
export type RunEnd =
  | { readonly state: 'SUCCESS'; readonly result: unknown }
  | { readonly state: 'FAILURE' | 'RETRY' | 'REVOKED'; readonly error: unknown }

/** A hook that runs before the code of every task and is awaited. If it throws, the error is logged and changes nothing. */
export type BeforeHook = (context: TaskContext, args: readonly unknown[]) => unknown
/**
 * A hook that runs after the task's own hook and before the outcome is stored, and is awaited. If it throws, the error is logged
 * and changes nothing.
 */
export type AfterHook = (context: TaskContext, args: readonly unknown[], end: RunEnd) => unknown
