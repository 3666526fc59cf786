import type { State } from '../outcome.ts'
import type { Progress, StoredResult } from './stored-result.ts'
import type { TaskError } from './task-error.ts'

export interface WaitOptions {
  /** Longest time to wait, in milliseconds. Default: no limit. */
  readonly timeoutMs?: number | undefined
  readonly signal?: AbortSignal | undefined
}

/** A handle of one run of a task, which has its id. Celery's name is AsyncResult. */
export interface AsyncResult<Result = unknown> {
  readonly id: string
  /** true: a `unique` task with the same key was already queued or running, and this handle belongs to that task. */
  readonly deduplicated?: boolean
  /** Returns the state. PENDING also means that the id is unknown. */
  state(): Promise<State>
  /** Returns the whole stored row; undefined if the id is unknown. */
  info(): Promise<StoredResult | undefined>
  /** Returns true once the task has a final outcome, whether it succeeded or not. */
  ready(): Promise<boolean>
  successful(): Promise<boolean>
  /**
   * Waits for the value. A notification from the database ends the wait; nothing polls.
   * @throws TaskError if the task failed or was revoked; AppError RESULT_TIMEOUT after `timeoutMs` milliseconds (default: no
   * limit)
   */
  get(options?: { timeoutMs?: number; signal?: AbortSignal }): Promise<Result>
  /** Deletes the stored result. */
  forget(): Promise<void>
  /** Revokes the task. `terminate`: true also aborts a running attempt. */
  revoke(options?: { readonly terminate?: boolean }): Promise<void>
  /** Returns the latest progress that the task reported with `ctx.progress`; undefined if there is none. */
  progress(): Promise<Progress | undefined>
  /**
   * Returns the tasks and groups that the task sent and that are known so far: from its code, its callbacks, and the next step
   * of its chain.
   */
  children(): Promise<(AsyncResult | GroupResult)[]>
  /**
   * The handle of the step before this task in its chain, or of the header of its chord. Only a handle that `delay()` of a
   * composition returned has a parent.
   */
  readonly parent: AsyncResult | GroupResult | undefined
  /** The first ancestor of this handle, or the handle itself if it has no parent. */
  readonly root: AsyncResult | GroupResult
}

/** A handle of a group. Celery's name is GroupResult. Sending a group stores it, so that `app.groupResult(id)` finds it later. */
export interface GroupResult<Results extends unknown[] = unknown[]> {
  readonly id: string
  /** Handles of the members, in order. */
  readonly results: { [Index in keyof Results]: AsyncResult<Results[Index]> }
  /** The handle of the step before this group in its chain; undefined if there is none or it is unknown. */
  readonly parent: AsyncResult | GroupResult | undefined
  /** Returns true once every member has a final outcome, whether it succeeded or not. */
  ready(): Promise<boolean>
  /** Returns true once every member has succeeded. */
  successful(): Promise<boolean>
  /** Returns true as soon as one member has failed or was revoked. */
  failed(): Promise<boolean>
  /** Returns the number of members that have succeeded. */
  completedCount(): Promise<number>
  /**
   * Waits for the results of all members, in order.
   * @throws TaskError as soon as a member fails; AppError RESULT_TIMEOUT after `timeoutMs` milliseconds
   */
  get(options?: WaitOptions): Promise<Results>
  /** Yields members in the order in which they end. A failed member does not throw. @throws AppError RESULT_TIMEOUT after `timeoutMs` milliseconds */
  iterate(options?: WaitOptions): AsyncGenerator<Completed<Results[number]>, void, void>
  /** Deletes the stored results of the members. */
  forget(): Promise<void>
  /** Revokes all members. `terminate`: true also aborts running attempts. */
  revoke(options?: { readonly terminate?: boolean }): Promise<void>
}

/** A member of a group that has ended. */
export interface Completed<Value = unknown> {
  /** The position of the member in the group. */
  readonly index: number
  readonly id: string
  readonly state: State
  /** The value that the task returned. Present for SUCCESS. */
  readonly value?: Value
  /** The error of the task. Present for FAILURE and REVOKED. */
  readonly error?: TaskError
}
