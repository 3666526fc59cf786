import type { TSchema } from 'typebox'
import type { TaskContext } from './task-context.ts'

/**
 * A set of errors: a list of classes or names (`Error.name` or the code of an AppError), or a function that returns true for an
 * error of the set.
 */
export type ErrorMatch = readonly (string | (abstract new (...args: never[]) => unknown))[] | ((error: unknown) => boolean)

/** Says when a failed task is retried. Names and defaults are Celery's. */
export interface RetryPolicy {
  /** Errors after which the task is retried automatically. Default: none. */
  readonly autoretryFor?: ErrorMatch
  /** Errors that are final although `autoretryFor` contains them. Default: none. */
  readonly dontAutoretryFor?: ErrorMatch
  /** Largest number of attempts after the first; null: no limit. Default 3. */
  readonly maxRetries?: number | null
  /** Seconds between attempts if there is no back-off. Default 180. */
  readonly retryDelay?: number
  /**
   * The factor of an exponential back-off of factor × 2^retries seconds; true means 1, false means no back-off. Default false.
   */
  readonly retryBackoff?: boolean | number
  /** The longest back-off, in seconds. Default 600. */
  readonly retryBackoffMax?: number
  /** true (default): full jitter, a random delay between 0 and the back-off. */
  readonly retryJitter?: boolean
  /** The latest time at which an attempt may be due: a Date, or seconds after the first attempt began. */
  readonly retryUntil?: Date | number
}

export interface UniqueOptions<Args extends unknown[] = unknown[]> {
  /**
   * Returns the key of a call. Two calls with the same key count as the same work. Default: the task's name and its arguments.
   */
  key?(...args: Args): string
  /** After this time the same work may be queued again even if the first task has not ended. Milliseconds. */
  readonly forMs: number
  /**
   * `end` (default): the key is free after the final outcome, or after `forMs` if that is earlier. `time`: the key is free only
   * after `forMs`.
   */
  readonly until?: 'end' | 'time'
}

/**
 * One JSON Schema per parameter (TypeBox). Errors name the parameter by its `title`; the console's form shows `description` and
 * `default`.
 */
export type ArgumentSchemas = readonly TSchema[]

export interface TaskOptions<Args extends unknown[] = unknown[], Result = unknown> extends RetryPolicy {
  /** One sentence about the task, shown in the console's form. */
  readonly description?: string
  /** One schema per parameter. Arguments are checked before the task is sent. */
  readonly args?: ArgumentSchemas
  /** Example arguments, which the console's form fills in. */
  readonly example?: Args
  /** The queue, used unless the call names another one. Default: `celery`. */
  readonly queue?: string
  /** 0 to 255. Higher priorities run first. Default 0. */
  readonly priority?: number
  /** true: stores no result. Default false. */
  readonly ignoreResult?: boolean
  /** For how many seconds the result is kept after the task ended. Default: RESULT_TTL. */
  readonly resultTtl?: number
  /**
   * Largest size of the result's JSON, in bytes. If the result is larger, it is not stored and the task fails with
   * ResultTooLarge. Default: RESULT_MAX_BYTES.
   */
  readonly resultMaxBytes?: number
  /** Seconds after which `ctx.signal` aborts. Default: TASK_SOFT_TIME_LIMIT (none). */
  readonly softTimeLimit?: number
  /** Seconds after which the attempt fails with TimeLimitExceeded. Default: TASK_TIME_LIMIT (none). */
  readonly timeLimit?: number
  /** A message whose task has not started after this many seconds is revoked. Default: never. */
  readonly expires?: number
  /**
   * How often the task may start, such as `10/m`. Units are `/s`, `/m` and `/h`; a number without a unit counts per second.
   * Scope `app`: for all workers together; `worker` (default): for each worker.
   */
  readonly rateLimit?: string | number | { readonly limit: string | number; readonly scope: 'worker' | 'app' }
  /**
   * `thread`: the task runs in a worker thread. Use it for code that keeps the CPU busy, or if time limits must stop the code.
   * Default: the worker's `--pool`.
   */
  readonly pool?: 'async' | 'thread'
  /**
   * `early`: the message is acknowledged before the task runs, so the task never runs twice, but it is lost if its worker dies.
   * `late` (default): the message is acknowledged after the outcome is stored.
   */
  readonly acks?: 'late' | 'early'
  /** At most one task with the same key is queued at a time. */
  readonly unique?: UniqueOptions<Args>
  // Runs after the task succeeded. All hooks run in the worker before the outcome is stored, and are awaited. If a hook throws,
  // the error is logged and changes nothing. Hooks are methods, because method parameters are bivariant: a task with any
  // arguments is then assignable to `Task`.
  onSuccess?(context: TaskContext, args: Args, result: Result): unknown
  /** Runs after the task failed and no attempt follows. */
  onFailure?(context: TaskContext, args: Args, error: unknown): unknown
  /** Runs after an attempt that failed or asked for a retry, if another attempt follows. */
  onRetry?(context: TaskContext, args: Args, error: unknown): unknown
}

export interface BoundTaskOptions<Args extends unknown[] = unknown[], Result = unknown> extends TaskOptions<Args, Result> {
  /** true: the function receives its TaskContext as first argument, as with Celery's `bind=True`. */
  readonly bind: true
}
