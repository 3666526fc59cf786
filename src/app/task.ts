import type { Static, TSchema } from 'typebox'
import type { Log } from '../log.ts'
import type { TaskSignatures } from './canvas/signature.ts'
import type { AsyncResult } from './results/async-result.ts'

/** What a bound task (`bind: true`) is given before its arguments. */
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
  /** Aborts at the soft time limit, when the task is revoked, and when the worker shuts down and has no more time for it; `reason` says why. */
  readonly signal: AbortSignal
  /** A logger whose lines carry the task's name and id; they are kept with the run and shown on its page. */
  readonly log: Log
  /** Says how far the task is: seen in `AsyncResult.progress()` and the console, at most a few times a second. Never throws, waits for nothing. */
  progress(n: number, of?: number, note?: string): void
  /**
   * Ends this attempt and runs the task again later, under the same id, as Celery's `self.retry`.
   * @throws Retry always: let it pass; or `options.error` (else MaxRetriesExceededError) when no attempt is left
   */
  retry(options?: RetryOptions): never
}

export interface RetryOptions {
  /** Seconds from now. Default: the task's back-off, else its `retryDelay`. */
  readonly countdown?: number
  /** Not before; instead of `countdown`. */
  readonly eta?: Date
  /** Attempts after the first one, instead of the task's `maxRetries`; null: for ever. */
  readonly max?: number | null
  /** Why: recorded with the RETRY state, and thrown when no attempt is left. */
  readonly error?: unknown
}

/** Errors by class, by name (`Error.name` or an AppError's code), or by a function. */
export type ErrorMatch = readonly (string | (abstract new (...args: never[]) => unknown))[] | ((error: unknown) => boolean)

/** When a failed task is tried again. Names and defaults are Celery's. */
export interface RetryPolicy {
  /** Errors after which the task is tried again without being asked. Default: none. */
  readonly autoretryFor?: ErrorMatch
  /** Errors that `autoretryFor` names and that are final all the same. */
  readonly dontAutoretryFor?: ErrorMatch
  /** Attempts after the first one; null: for ever. Default 3. */
  readonly maxRetries?: number | null
  /** Seconds between attempts where there is no back-off. Default 180. */
  readonly retryDelay?: number
  /** Exponential back-off: factor × 2^retries seconds; true: factor 1. Default false. */
  readonly retryBackoff?: boolean | number
  /** Seconds: no pause is longer. Default 600. */
  readonly retryBackoffMax?: number
  /** Full jitter: the pause is anything from 0 to its length. Default true. */
  readonly retryJitter?: boolean
  /** No attempt is due later: a moment, or seconds after the first attempt began. */
  readonly retryUntil?: Date | number
}

export interface UniqueOptions<Args extends unknown[] = unknown[]> {
  /** What makes two calls the same work. Default: the task's name and its arguments. */
  key?(...args: Args): string
  /** Milliseconds after which the same work may be queued again even if the first has not ended. */
  readonly forMs: number
  /** `end` (default): the key is free again when the task has ended. `time`: only after `forMs`. */
  readonly until?: 'end' | 'time'
}

/** How a run ended, for `app.after`. */
export type RunEnd =
  | { readonly state: 'SUCCESS'; readonly result: unknown }
  | { readonly state: 'FAILURE' | 'RETRY' | 'REVOKED'; readonly error: unknown }

/** Before the code of any task runs. Awaited; what it throws is logged and changes nothing. */
export type BeforeHook = (context: TaskContext, args: readonly unknown[]) => unknown
/** After the hook of the task itself, before the outcome is recorded. Awaited; what it throws is logged and changes nothing. */
export type AfterHook = (context: TaskContext, args: readonly unknown[], end: RunEnd) => unknown

/** One parameter's JSON Schema (TypeBox): its `title` is the name used in messages, `description` and `default` are shown in the form. */
export type ArgumentSchemas = readonly TSchema[]

export interface TaskOptions<Args extends unknown[] = unknown[], Result = unknown> extends RetryPolicy {
  /** One sentence for the form. */
  readonly description?: string
  /** One schema per parameter; arguments are checked before they are enqueued. */
  readonly args?: ArgumentSchemas
  /** Arguments that a person can try at once. */
  readonly example?: Args
  /** Queue when the caller names none. Default: `celery`. */
  readonly queue?: string
  /** 0 to 255, higher first. Default 0. */
  readonly priority?: number
  /** Keep no result. Default false. */
  readonly ignoreResult?: boolean
  /** Seconds that the result is kept after the end. Default: RESULT_TTL. */
  readonly resultTtl?: number
  /** Bytes of the result's JSON; a larger one is not stored, and its run fails with ResultTooLarge. Default: RESULT_MAX_BYTES. */
  readonly resultMaxBytes?: number
  /** Seconds after which `ctx.signal` aborts. Default: TASK_SOFT_TIME_LIMIT (none). */
  readonly softTimeLimit?: number
  /** Seconds after which the run is over, as FAILURE TimeLimitExceeded. Default: TASK_TIME_LIMIT (none). */
  readonly timeLimit?: number
  /** Seconds after which a message that has not begun is not wanted any more. Default: never. */
  readonly expires?: number
  /** Such as `10/m`: `/s`, `/m` or `/h`; a bare number is per second. `app`: over all workers, `worker` (default): each by itself. */
  readonly rateLimit?: string | number | { readonly limit: string | number; readonly scope: 'worker' | 'app' }
  /** `thread`: in a worker thread, for code that keeps the CPU busy, and for time limits that stop it for certain. Default: the worker's `--pool`. */
  readonly pool?: 'async' | 'thread'
  /** `early`: acknowledged before it runs, so that it never runs twice, and is lost with its worker. Default `late`. */
  readonly acks?: 'late' | 'early'
  /** The same work is not queued twice. */
  readonly unique?: UniqueOptions<Args>
  // Hooks are told about one run, in the worker, before its outcome is recorded. Awaited; what they throw is logged and changes nothing.
  // Methods, so that a task of any arguments is a `Task`.
  onSuccess?(context: TaskContext, args: Args, result: Result): unknown
  /** After the last attempt. */
  onFailure?(context: TaskContext, args: Args, error: unknown): unknown
  /** After an attempt that is followed by another. */
  onRetry?(context: TaskContext, args: Args, error: unknown): unknown
}

export interface BoundTaskOptions<Args extends unknown[] = unknown[], Result = unknown> extends TaskOptions<Args, Result> {
  /** The function is given its TaskContext first, as with Celery's `bind=True`. */
  readonly bind: true
}

export interface ApplyOptions {
  /** Seconds from now. */
  readonly countdown?: number
  /** Not before. */
  readonly eta?: Date
  /** Not after: a moment, or seconds from now. */
  readonly expires?: Date | number
  readonly queue?: string
  /** 0 to 255, higher first. */
  readonly priority?: number
  /** 1 to 255 characters. Default: a new UUID. */
  readonly taskId?: string
  readonly kwargs?: Readonly<Record<string, unknown>>
  readonly headers?: Readonly<Record<string, unknown>>
  /** Seconds, instead of the task's. */
  readonly softTimeLimit?: number
  /** Seconds, instead of the task's. */
  readonly timeLimit?: number
  /** Keep no result, as if the task said so. A task that keeps none cannot be told to keep one, as with Celery. */
  readonly ignoreResult?: boolean
  /** The name that monitors and logs show. */
  readonly shadow?: string
  /**
   * A connection of yours (a `pg` client inside BEGIN … COMMIT on the same database): the task is enqueued when and only when your
   * transaction commits.
   */
  readonly transaction?: TransactionClient
}

/** The part of a `pg` client that is needed. */
export interface TransactionClient {
  query(text: string, values?: unknown[]): Promise<unknown>
}

/** A registered task: one typed definition for whoever calls it and for the worker that runs it. */
export interface Task<Args extends unknown[] = unknown[], Result = unknown> extends TaskSignatures<Args, Result> {
  readonly name: string
  readonly options: TaskOptions<Args, Result>
  /** Enqueues the task. Resolves when the broker has confirmed it. @throws AppError ARGUMENTS_INVALID, VALUE_NOT_JSON, BROKER_UNREACHABLE */
  delay(...args: Args): Promise<AsyncResult<Result>>
  /** `delay` with options. @throws as `delay`, and AppError TASK_OPTION_INVALID */
  applyAsync(args: Args, options?: ApplyOptions): Promise<AsyncResult<Result>>
  /** The handle of a run whose id is known. */
  asyncResult(id: string): AsyncResult<Result>
  /** Calls the function itself, here and now: for the worker and for tests. */
  run(context: TaskContext, args: readonly unknown[]): Promise<Result>
}

/** The values that a list of schemas stands for. */
export type ArgumentsOf<Schemas extends ArgumentSchemas> = { -readonly [Index in keyof Schemas]: Static<Schemas[Index]> }
