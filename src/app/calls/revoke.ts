/** Tasks to revoke: by id, all queued or running tasks of a name, or the open runs of a schedule. */
export interface Unwanted {
  readonly ids?: readonly string[] | undefined
  /** Name of a task: revokes all its messages that were sent until now. */
  readonly task?: string | undefined
  /** Name of a schedule. */
  readonly schedule?: string | undefined
}

export interface RevokeOptions {
  /** Also aborts the signal of running attempts, and ends their threads. Default false. */
  readonly terminate?: boolean | undefined
}

/** @returns the revoked ids, or the revoked task name. @throws AppError SCHEDULE_UNKNOWN */
export type Revoke = (unwanted: Unwanted, options?: RevokeOptions) => Promise<readonly string[]>
