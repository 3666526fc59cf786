/** What is not wanted any more: tasks by id, all of a name that are queued or run now, or the open runs of a schedule. */
export interface Unwanted {
  readonly ids?: readonly string[] | undefined
  /** Name of a task: what was sent of it until now. */
  readonly task?: string | undefined
  /** Name of a schedule. */
  readonly schedule?: string | undefined
}

export interface RevokeOptions {
  /** Aborts the signal of those that run; a thread is ended. Default false. */
  readonly terminate?: boolean | undefined
}

/** @returns the ids, or the one name of a task, that are revoked now. @throws AppError SCHEDULE_UNKNOWN */
export type Revoke = (unwanted: Unwanted, options?: RevokeOptions) => Promise<readonly string[]>
