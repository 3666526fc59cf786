/** Tasks to revoke: by id, all queued or running tasks of a name, or the open runs of a schedule. */
export interface Unwanted {
  readonly ids?: readonly string[] | undefined
  /** Name of a task. All messages of this task that were sent until now are revoked. */
  readonly task?: string | undefined
  /** Name of a schedule, whose open runs are revoked. */
  readonly schedule?: string | undefined
}

export interface RevokeOptions {
  /** true: also aborts the signal of each running attempt, and ends its thread if it runs in one. Default false. */
  readonly terminate?: boolean | undefined
}

/** Revokes tasks. @returns the revoked ids, or the revoked task name. @throws AppError SCHEDULE_UNKNOWN */
export type Revoke = (unwanted: Unwanted, options?: RevokeOptions) => Promise<readonly string[]>
