import type { State } from '../outcome.ts'
import type { Progress, StoredResult } from './stored-result.ts'
import type { TaskError } from './task-error.ts'

export interface WaitOptions {
  /** Milliseconds. Default: no limit. */
  readonly timeoutMs?: number | undefined
  readonly signal?: AbortSignal | undefined
}

/** A handle of one task run, by its id; Celery's AsyncResult. */
export interface AsyncResult<Result = unknown> {
  readonly id: string
  /** true: a `unique` task with this key was already queued or running, and this is its handle. */
  readonly deduplicated?: boolean
  /** PENDING also means that the id is unknown. */
  state(): Promise<State>
  /** The whole stored row; undefined if the id is unknown. */
  info(): Promise<StoredResult | undefined>
  /** true once the task has a final outcome, good or bad. */
  ready(): Promise<boolean>
  successful(): Promise<boolean>
  /**
   * Waits for the value. A notification of the database ends the wait; nothing polls.
   * @throws TaskError if the task failed or was revoked; AppError RESULT_TIMEOUT after `timeoutMs` milliseconds (default: no limit)
   */
  get(options?: { timeoutMs?: number; signal?: AbortSignal }): Promise<Result>
  /** Deletes the stored result. */
  forget(): Promise<void>
  /** Revokes the task. `terminate`: also aborts a running attempt. */
  revoke(options?: { readonly terminate?: boolean }): Promise<void>
  /** The latest `ctx.progress`; undefined if there is none. */
  progress(): Promise<Progress | undefined>
  /** Tasks and groups that the task sent, as far as known: from its code, its callbacks, the next step of its chain. */
  children(): Promise<(AsyncResult | GroupResult)[]>
  /** The step before it in its chain, or the header of its chord. Only the handle that `delay()` of a composition returned has a parent. */
  readonly parent: AsyncResult | GroupResult | undefined
  /** The first of its ancestors, or itself. */
  readonly root: AsyncResult | GroupResult
}

/** A handle of a group; Celery's GroupResult. Sending a group stores it, so `app.groupResult(id)` finds it again. */
export interface GroupResult<Results extends unknown[] = unknown[]> {
  readonly id: string
  /** Handles of the members, in order. */
  readonly results: { [Index in keyof Results]: AsyncResult<Results[Index]> }
  /** The step before it in its chain; undefined if there is none or it is unknown. */
  readonly parent: AsyncResult | GroupResult | undefined
  /** true once every member has a final outcome, good or bad. */
  ready(): Promise<boolean>
  /** true once every member has succeeded. */
  successful(): Promise<boolean>
  /** true as soon as one member has failed or was revoked. */
  failed(): Promise<boolean>
  /** The number of members that have succeeded. */
  completedCount(): Promise<number>
  /**
   * Waits for the results of all members, in order.
   * @throws TaskError of the first member that fails, at once; AppError RESULT_TIMEOUT after `timeoutMs` milliseconds
   */
  get(options?: WaitOptions): Promise<Results>
  /** Yields members in the order in which they end. A failed member does not throw. @throws AppError RESULT_TIMEOUT after `timeoutMs` milliseconds */
  iterate(options?: WaitOptions): AsyncGenerator<Completed<Results[number]>, void, void>
  /** Deletes the stored results of the members. */
  forget(): Promise<void>
  /** Revokes all members. `terminate`: also aborts running attempts. */
  revoke(options?: { readonly terminate?: boolean }): Promise<void>
}

/** A member of a group that has ended. */
export interface Completed<Value = unknown> {
  /** Its position in the group. */
  readonly index: number
  readonly id: string
  readonly state: State
  /** Present for SUCCESS. */
  readonly value?: Value
  /** Present for FAILURE and REVOKED. */
  readonly error?: TaskError
}
