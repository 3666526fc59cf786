import type { Static } from 'typebox'
import type { ApplyOptions } from './apply-options.ts'
import type { TaskSignatures } from './canvas/signature.ts'
import type { AsyncResult } from './results/handles.ts'
import type { TaskContext } from './task-context.ts'
import type { ArgumentSchemas, TaskOptions } from './task-options.ts'

/** A registered task: one typed definition for its callers and for the worker that runs it. */
export interface Task<Args extends unknown[] = unknown[], Result = unknown> extends TaskSignatures<Args, Result> {
  readonly name: string
  readonly options: TaskOptions<Args, Result>
  /**
   * Enqueues the task. Returns its handle after the broker has confirmed the message.
   * @throws AppError ARGUMENTS_INVALID, VALUE_NOT_JSON, BROKER_UNREACHABLE
   */
  delay(...args: Args): Promise<AsyncResult<Result>>
  /** Enqueues the task like `delay`, with options. @throws as `delay`, and AppError TASK_OPTION_INVALID */
  applyAsync(args: Args, options?: ApplyOptions): Promise<AsyncResult<Result>>
  /** Returns the handle of a run by its id. */
  asyncResult(id: string): AsyncResult<Result>
  /** Calls the function in this process, for the worker and for tests. */
  run(context: TaskContext, args: readonly unknown[]): Promise<Result>
}

/** The argument types that a list of schemas describes. */
export type ArgumentsOf<Schemas extends ArgumentSchemas> = { -readonly [Index in keyof Schemas]: Static<Schemas[Index]> }
