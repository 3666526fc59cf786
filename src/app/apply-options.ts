/** Options of one call. */
export interface ApplyOptions {
  /** The task runs this many seconds from now. */
  readonly countdown?: number
  /** The earliest time at which the task runs. */
  readonly eta?: Date
  /** The latest time at which the task starts: a Date, or seconds from now. */
  readonly expires?: Date | number
  readonly queue?: string
  /** 0 to 255. Higher priorities run first. */
  readonly priority?: number
  /** The id of the task, 1 to 255 characters. Default: a new UUID. */
  readonly taskId?: string
  readonly kwargs?: Readonly<Record<string, unknown>>
  readonly headers?: Readonly<Record<string, unknown>>
  /** Soft time limit in seconds, instead of the limit of the task. */
  readonly softTimeLimit?: number
  /** Hard time limit in seconds, instead of the limit of the task. */
  readonly timeLimit?: number
  /** true: stores no result. false does not override a task that ignores its results, as with Celery. */
  readonly ignoreResult?: boolean
  /** The name that monitors and logs show instead of the task's name. */
  readonly shadow?: string
  /**
   * Your own connection to the same database: a `pg` client between BEGIN and COMMIT. The task is enqueued if and only if your
   * transaction commits.
   */
  readonly transaction?: TransactionClient
}

/** The methods of a `pg` client that are needed to send a task in a transaction. */
export interface TransactionClient {
  query(text: string, values?: unknown[]): Promise<unknown>
}
