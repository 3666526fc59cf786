/**
 * The action that a thrown Retry, Ignore, Reject or MaxRetriesExceededError asks for. Such an error is recognised by its
 * property `controlFlow`, not by its class: the application may import another copy of this package, and an error from a worker
 * thread reaches the main thread as a copy.
 */
export type ControlFlow = 'retry' | 'ignore' | 'reject' | 'exhausted'

const PREFIX = 'onedyno.'

/** Returns the control flow that an error asks for, or undefined for any other error. Never throws. */
export function controlFlowOf(thrown: unknown): ControlFlow | undefined {
  try {
    const { controlFlow } = thrown as { controlFlow?: unknown }
    if (typeof controlFlow !== 'string' || !controlFlow.startsWith(PREFIX)) return undefined
    return controlFlow.slice(PREFIX.length) as ControlFlow
  } catch {
    return undefined
  }
}

/** Ends this attempt; the task runs again at `dueAt`. `ctx.retry()` throws it, with the reason of the retry as `cause`. */
export class Retry extends Error {
  override readonly name = 'Retry'
  readonly controlFlow = 'onedyno.retry'
  readonly dueAt: Date

  constructor(dueAt: Date, cause?: unknown) {
    // The error text of Celery's Retry (celery/app/task.py).
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
  /** true: requeues the message for another delivery. false (default): keeps the message as a dead letter and stores FAILURE. */
  readonly requeue?: boolean
  readonly reason?: string
}

/** Rejects the message: ends the attempt as the option `requeue` says. */
export class Reject extends Error {
  override readonly name = 'Reject'
  readonly controlFlow = 'onedyno.reject'
  readonly requeue: boolean

  constructor({ requeue = false, reason = 'rejected by the task' }: RejectOptions = {}) {
    super(reason)
    this.requeue = requeue
  }
}

/** Thrown by `ctx.retry()` if no attempt is left and the caller gave no error to throw instead. */
export class MaxRetriesExceededError extends Error {
  override readonly name = 'MaxRetriesExceededError'
  readonly controlFlow = 'onedyno.exhausted'
}

/** The reason of `ctx.signal` at the soft time limit. */
export class SoftTimeLimitExceeded extends Error {
  override readonly name = 'SoftTimeLimitExceeded'
  /** The limit in seconds. */
  readonly seconds: number

  constructor(seconds: number) {
    super(`soft time limit of ${seconds} seconds exceeded`)
    this.seconds = seconds
  }
}

/** The error of an attempt that reached its hard time limit. The attempt ends even if its code continues. */
export class TimeLimitExceeded extends Error {
  override readonly name = 'TimeLimitExceeded'
  /** The limit in seconds. */
  readonly seconds: number

  constructor(seconds: number) {
    super(`time limit of ${seconds} seconds exceeded`)
    this.seconds = seconds
  }
}
