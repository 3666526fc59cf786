import type { Static, TSchema } from 'typebox'
import type { Log } from '../log.ts'
import type { AsyncResult } from './async-result.ts'

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
  /** Aborts when the worker shuts down and has no more time for the task. */
  readonly signal: AbortSignal
  /** A logger whose lines carry the task's name and id. */
  readonly log: Log
}

/** One parameter's JSON Schema (TypeBox): its `title` is the name used in messages, `description` and `default` are shown in the form. */
export type ArgumentSchemas = readonly TSchema[]

export interface TaskOptions<Args extends unknown[] = unknown[]> {
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
}

export interface BoundTaskOptions<Args extends unknown[] = unknown[]> extends TaskOptions<Args> {
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
export interface Task<Args extends unknown[] = unknown[], Result = unknown> {
  readonly name: string
  readonly options: TaskOptions<Args>
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
