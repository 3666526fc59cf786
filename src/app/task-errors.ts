/**
 * What a task throws to end its attempt in a way of its own. Recognised by `ending`, not by class: an application may come from another copy
 * of this package, and what a thread throws reaches the worker as a copy.
 */
export type Ending = 'retry' | 'ignore' | 'reject' | 'exhausted'

const MARK = 'onedyno.'

/** undefined: an error like any other. Never throws. */
export function endingOf(thrown: unknown): Ending | undefined {
  try {
    const { ending } = thrown as { ending?: unknown }
    if (typeof ending !== 'string' || !ending.startsWith(MARK)) return undefined
    return ending.slice(MARK.length) as Ending
  } catch {
    return undefined
  }
}

/** Ends this attempt: the task runs again at `dueAt`. Thrown by `ctx.retry()`; `cause` is why. */
export class Retry extends Error {
  override readonly name = 'Retry'
  readonly ending = 'onedyno.retry'
  readonly dueAt: Date

  constructor(dueAt: Date, cause?: unknown) {
    // Celery's words (app/task.py).
    const seconds = Math.round(Math.max(0, dueAt.getTime() - Date.now()) / 1000)
    super(`Retry in ${seconds}s`, cause === undefined ? undefined : { cause })
    this.dueAt = dueAt
  }
}

/** Ends the task as if it had never been: acknowledged, and nothing is stored. */
export class Ignore extends Error {
  override readonly name = 'Ignore'
  readonly ending = 'onedyno.ignore'
}

export interface RejectOptions {
  /** Given back to the queue, for another worker or another moment. Default: kept aside as a dead letter, and recorded as FAILURE. */
  readonly requeue?: boolean
  readonly reason?: string
}

/** Refuses the message. */
export class Reject extends Error {
  override readonly name = 'Reject'
  readonly ending = 'onedyno.reject'
  readonly requeue: boolean

  constructor({ requeue = false, reason = 'rejected by the task' }: RejectOptions = {}) {
    super(reason)
    this.requeue = requeue
  }
}

/** No attempt is left, and nobody said why the last one failed. */
export class MaxRetriesExceededError extends Error {
  override readonly name = 'MaxRetriesExceededError'
  readonly ending = 'onedyno.exhausted'
}

/** The reason of `ctx.signal` at the soft time limit. */
export class SoftTimeLimitExceeded extends Error {
  override readonly name = 'SoftTimeLimitExceeded'
  /** The limit. */
  readonly seconds: number

  constructor(seconds: number) {
    super(`soft time limit of ${seconds} seconds exceeded`)
    this.seconds = seconds
  }
}

/** The run is over, whatever its code still does. */
export class TimeLimitExceeded extends Error {
  override readonly name = 'TimeLimitExceeded'
  /** The limit. */
  readonly seconds: number

  constructor(seconds: number) {
    super(`time limit of ${seconds} seconds exceeded`)
    this.seconds = seconds
  }
}
