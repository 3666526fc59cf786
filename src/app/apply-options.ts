/** Options of one call. */
export interface ApplyOptions {
  /** Seconds from now. */
  readonly countdown?: number
  /** The earliest time to run. */
  readonly eta?: Date
  /** The latest time to start: a Date, or seconds from now. */
  readonly expires?: Date | number
  readonly queue?: string
  /** 0 to 255, higher first. */
  readonly priority?: number
  /** 1 to 255 characters. Default: a new UUID. */
  readonly taskId?: string
  readonly kwargs?: Readonly<Record<string, unknown>>
  readonly headers?: Readonly<Record<string, unknown>>
  /** Seconds, instead of the task's limit. */
  readonly softTimeLimit?: number
  /** Seconds, instead of the task's limit. */
  readonly timeLimit?: number
  /** Stores no result, as the task option does. A call cannot store the result of a task that ignores results, as with Celery. */
  readonly ignoreResult?: boolean
  /** The name that monitors and logs show. */
  readonly shadow?: string
  /**
   * A connection of yours (a `pg` client inside BEGIN … COMMIT on the same database): the task is enqueued when and only when your
   * transaction commits.
   */
  readonly transaction?: TransactionClient
}

/** The part of a `pg` client that sending in a transaction needs. */
export interface TransactionClient {
  query(text: string, values?: unknown[]): Promise<unknown>
}
