/**
 * The request of a thrown Retry, Ignore, Reject or MaxRetriesExceededError. Recognised by the property `controlFlow`, not by class: the
 * application may import another copy of this package, and an error thrown in a worker thread reaches the main thread as a copy.
 */
export type ControlFlow = 'retry' | 'ignore' | 'reject' | 'exhausted'

const PREFIX = 'onedyno.'

/** Returns undefined for any other error. Never throws. */
export function controlFlowOf(thrown: unknown): ControlFlow | undefined {
  try {
    const { controlFlow } = thrown as { controlFlow?: unknown }
    if (typeof controlFlow !== 'string' || !controlFlow.startsWith(PREFIX)) return undefined
    return controlFlow.slice(PREFIX.length) as ControlFlow
  } catch {
    return undefined
  }
}

/** Ends this attempt; the task runs again at `dueAt`. Thrown by `ctx.retry()`, with the reason as `cause`. */
export class Retry extends Error {
  override readonly name = 'Retry'
  readonly controlFlow = 'onedyno.retry'
  readonly dueAt: Date

  constructor(dueAt: Date, cause?: unknown) {
    // The message of Celery's Retry (celery/app/task.py).
    const seconds = Math.round(Math.max(0, dueAt.getTime() - Date.now()) / 1000)
    super(`Retry in ${seconds}s`, cause === undefined ? undefined : { cause })
    this.dueAt = dueAt
  }
}

/** Ends the task without an outcome: the message is acknowledged and nothing is stored. */
export class Ignore extends Error {
  override readonly name = 'Ignore'
  readonly controlFlow = 'onedyno.ignore'
}

export interface RejectOptions {
  /** true: requeues the message for another worker or a later delivery. Default false: keeps it as a dead letter and stores FAILURE. */
  readonly requeue?: boolean
  readonly reason?: string
}

/** Rejects the message. */
export class Reject extends Error {
  override readonly name = 'Reject'
  readonly controlFlow = 'onedyno.reject'
  readonly requeue: boolean

  constructor({ requeue = false, reason = 'rejected by the task' }: RejectOptions = {}) {
    super(reason)
    this.requeue = requeue
  }
}

/** `ctx.retry()` found no attempt left and was called without an error to throw instead. */
export class MaxRetriesExceededError extends Error {
  override readonly name = 'MaxRetriesExceededError'
  readonly controlFlow = 'onedyno.exhausted'
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

/** The error of an attempt that reached its time limit. The attempt ends even if its code goes on. */
export class TimeLimitExceeded extends Error {
  override readonly name = 'TimeLimitExceeded'
  /** The limit. */
  readonly seconds: number

  constructor(seconds: number) {
    super(`time limit of ${seconds} seconds exceeded`)
    this.seconds = seconds
  }
}
