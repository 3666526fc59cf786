import type { Log } from '../log.ts'

/** The first argument of a bound task (`bind: true`). */
export interface TaskContext {
  readonly id: string
  readonly task: string
  readonly queue: string
  /** Attempts before this one: 0 for the first. */
  readonly retries: number
  readonly kwargs: Readonly<Record<string, unknown>>
  readonly headers: Readonly<Record<string, unknown>>
  readonly parentId: string | undefined
  readonly rootId: string
  /** 1 for the first attempt: `retries` + 1. */
  readonly attempt: number
  /**
   * Aborts at the soft time limit, when the task is revoked, and when the worker shuts down and has no more time for the task. `reason`
   * says which.
   */
  readonly signal: AbortSignal
  /** A logger whose lines carry the task's name and id. The lines are stored with the run and shown on its page. */
  readonly log: Log
  /** Reports progress, shown by `AsyncResult.progress()` and the console, at most a few times a second. Never throws or waits. */
  progress(n: number, of?: number, note?: string): void
  /**
   * Ends this attempt and runs the task again later, under the same id, as Celery's `self.retry`.
   * @throws Retry always: do not catch it; or `options.error` (else MaxRetriesExceededError) if no attempt is left
   */
  retry(options?: RetryOptions): never
}

export interface RetryOptions {
  /** Seconds from now. Default: the task's back-off, else its `retryDelay`. */
  readonly countdown?: number
  /** The earliest time of the next attempt, instead of `countdown`. */
  readonly eta?: Date
  /** Attempts after the first one, instead of the task's `maxRetries`; null: no limit. */
  readonly max?: number | null
  /** The reason: stored with the RETRY state, and thrown if no attempt is left. */
  readonly error?: unknown
}

/** How an attempt ended, for `app.after`. */
export type RunEnd =
  | { readonly state: 'SUCCESS'; readonly result: unknown }
  | { readonly state: 'FAILURE' | 'RETRY' | 'REVOKED'; readonly error: unknown }

/** Runs before the code of every task and is awaited. An error that it throws is logged and changes nothing. */
export type BeforeHook = (context: TaskContext, args: readonly unknown[]) => unknown
/** Runs after the task's own hook, before the outcome is stored, and is awaited. An error that it throws is logged and changes nothing. */
export type AfterHook = (context: TaskContext, args: readonly unknown[], end: RunEnd) => unknown
