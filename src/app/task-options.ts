import type { TSchema } from 'typebox'
import type { TaskContext } from './task-context.ts'

/** Errors by class, by name (`Error.name` or an AppError's code), or by a function. */
export type ErrorMatch = readonly (string | (abstract new (...args: never[]) => unknown))[] | ((error: unknown) => boolean)

/** When a failed task is retried. Names and defaults are Celery's. */
export interface RetryPolicy {
  /** Errors after which the task is retried automatically. Default: none. */
  readonly autoretryFor?: ErrorMatch
  /** Exceptions from `autoretryFor`: these errors are final. */
  readonly dontAutoretryFor?: ErrorMatch
  /** Attempts after the first one; null: no limit. Default 3. */
  readonly maxRetries?: number | null
  /** Seconds between attempts without back-off. Default 180. */
  readonly retryDelay?: number
  /** Exponential back-off: factor × 2^retries seconds; true: factor 1. Default false. */
  readonly retryBackoff?: boolean | number
  /** Seconds: the longest back-off. Default 600. */
  readonly retryBackoffMax?: number
  /** Full jitter: the delay is random between 0 and the back-off. Default true. */
  readonly retryJitter?: boolean
  /** The latest time for an attempt: a Date, or seconds after the first attempt began. */
  readonly retryUntil?: Date | number
}

export interface UniqueOptions<Args extends unknown[] = unknown[]> {
  /** Calls with the same key are the same work. Default: the task's name and its arguments. */
  key?(...args: Args): string
  /** Milliseconds after which the same work may be queued again even if the first task has not ended. */
  readonly forMs: number
  /** `end` (default): the final outcome frees the key. `time`: only `forMs` frees it. */
  readonly until?: 'end' | 'time'
}

/** One JSON Schema per parameter (TypeBox): `title` is the name used in messages, `description` and `default` are shown in the form. */
export type ArgumentSchemas = readonly TSchema[]

export interface TaskOptions<Args extends unknown[] = unknown[], Result = unknown> extends RetryPolicy {
  /** One sentence for the form. */
  readonly description?: string
  /** One schema per parameter. Arguments are checked before the task is sent. */
  readonly args?: ArgumentSchemas
  /** Arguments that the form fills in as an example. */
  readonly example?: Args
  /** Queue, unless the caller names one. Default: `celery`. */
  readonly queue?: string
  /** 0 to 255, higher first. Default 0. */
  readonly priority?: number
  /** Stores no result. Default false. */
  readonly ignoreResult?: boolean
  /** Seconds that the result is kept after the end. Default: RESULT_TTL. */
  readonly resultTtl?: number
  /** Bytes of the result's JSON. A larger result is not stored, and the task fails with ResultTooLarge. Default: RESULT_MAX_BYTES. */
  readonly resultMaxBytes?: number
  /** Seconds after which `ctx.signal` aborts. Default: TASK_SOFT_TIME_LIMIT (none). */
  readonly softTimeLimit?: number
  /** Seconds after which the attempt fails with TimeLimitExceeded. Default: TASK_TIME_LIMIT (none). */
  readonly timeLimit?: number
  /** Seconds after which a message is revoked unless its task has started. Default: never. */
  readonly expires?: number
  /** Such as `10/m`: `/s`, `/m` or `/h`; a bare number is per second. `app`: for all workers together; `worker` (default): for each worker. */
  readonly rateLimit?: string | number | { readonly limit: string | number; readonly scope: 'worker' | 'app' }
  /** `thread`: runs in a worker thread, for code that keeps the CPU busy and for time limits that must stop it. Default: the worker's `--pool`. */
  readonly pool?: 'async' | 'thread'
  /** `early`: acknowledged before it runs, so that it never runs twice but is lost if its worker dies. Default `late`. */
  readonly acks?: 'late' | 'early'
  /** Only one task with the same key is queued at a time. */
  readonly unique?: UniqueOptions<Args>
  // Hooks run in the worker before the outcome is stored and are awaited. An error that they throw is logged and changes nothing.
  // They are methods, because method parameters are bivariant: a task of any arguments is then assignable to `Task`.
  onSuccess?(context: TaskContext, args: Args, result: Result): unknown
  /** After the last attempt. */
  onFailure?(context: TaskContext, args: Args, error: unknown): unknown
  /** After an attempt that another attempt follows. */
  onRetry?(context: TaskContext, args: Args, error: unknown): unknown
}

export interface BoundTaskOptions<Args extends unknown[] = unknown[], Result = unknown> extends TaskOptions<Args, Result> {
  /** The function receives its TaskContext as first argument, as with Celery's `bind=True`. */
  readonly bind: true
}
