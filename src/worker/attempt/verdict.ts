import { isRetried, nextAttempt } from '../../app/retry-policy.ts'
import { controlFlowOf, type Reject, type Retry, SoftTimeLimitExceeded } from '../../app/task-errors.ts'
import type { RetryPolicy } from '../../app/task-options.ts'
import { toError } from '../../errors.ts'
import { Revocation, Shutdown, WorkerLostError } from './interruptions.ts'

/** The meaning of a thrown error for its attempt. */
export type Verdict =
  | { readonly tag: 'failed'; readonly error: unknown }
  | { readonly tag: 'retried'; readonly error: unknown; readonly dueAt: Date }
  | { readonly tag: 'revoked'; readonly error: unknown }
  | { readonly tag: 'ignored'; readonly error: unknown }
  | { readonly tag: 'rejected'; readonly error: unknown; readonly requeue: boolean }
  /** `counted`: true if it counts as a death of the worker. `reason`: how the thread died. */
  | { readonly tag: 'requeued'; readonly counted: boolean; readonly reason?: string }

export interface Circumstances {
  /** The reason with which `ctx.signal` was aborted; undefined if it was not aborted. */
  readonly reason: unknown
  readonly policy: RetryPolicy
  /** true: the message was acknowledged before the task ran, so it cannot be requeued. */
  readonly early: boolean
  readonly retries: number
  readonly until: number | undefined
  /** true: `ctx.retry()` threw because no attempt was left. */
  readonly exhausted: boolean
  /** Milliseconds since the epoch. */
  readonly now: number
}

/**
 * Decides what a thrown error means. A revoke has precedence, then the control flow that the task asks for, then a shutdown or a
 * dead thread, then the retry policy.
 */
export function verdictOf(thrown: unknown, given: Circumstances, random?: () => number): Verdict {
  const { reason, early } = given
  if (reason instanceof Revocation) return { tag: 'revoked', error: reason }
  const asked = controlFlowVerdict(thrown, early)
  if (asked !== undefined) return asked
  if (reason instanceof Shutdown) return early ? { tag: 'failed', error: lostEarly() } : { tag: 'requeued', counted: false }
  // It is unknown how far the task came, and another thread may finish it. The death is counted, so that this happens at most
  // `maxDeliveries` times.
  if (thrown instanceof WorkerLostError && !early) return { tag: 'requeued', counted: true, reason: thrown.message }
  return afterError(reason instanceof SoftTimeLimitExceeded ? overdue(reason, thrown) : thrown, given, random)
}

/** Creates the error that is stored for a task that was acknowledged early and had not ended when its worker stopped. */
export const lostEarly = (): Error =>
  new WorkerLostError('the worker stopped before the task ended, and the task was acknowledged early')

function controlFlowVerdict(thrown: unknown, early: boolean): Verdict | undefined {
  switch (controlFlowOf(thrown)) {
    case 'ignore':
      return { tag: 'ignored', error: thrown }
    case 'reject':
      // A message that was acknowledged early is no longer in the queue, so it can only become a dead letter.
      return { tag: 'rejected', error: thrown, requeue: (thrown as Reject).requeue === true && !early }
    case 'retry': {
      const { dueAt, cause } = thrown as Retry
      const isValid = dueAt instanceof Date && !Number.isNaN(dueAt.getTime())
      return isValid ? { tag: 'retried', error: cause ?? thrown, dueAt } : { tag: 'failed', error: thrown }
    }
    case 'exhausted':
      return { tag: 'failed', error: thrown }
    default:
      return undefined
  }
}

/**
 * Returns the error of a task whose signal the soft time limit aborted: the limit itself. Any other error that the task threw is
 * its `cause`.
 */
const overdue = (reason: SoftTimeLimitExceeded, thrown: unknown): unknown =>
  thrown === reason || thrown === undefined
    ? reason
    : Object.assign(new SoftTimeLimitExceeded(reason.seconds), { stack: reason.stack, cause: thrown })

/** Returns the verdict on an error by the retry policy alone. */
export function afterError(
  error: unknown,
  { policy, retries, until, exhausted, now }: Circumstances,
  random?: () => number,
): Verdict {
  if (exhausted) return { tag: 'failed', error }
  try {
    if (!isRetried(policy, error)) return { tag: 'failed', error }
  } catch (problem) {
    const text = `the function autoretryFor or dontAutoretryFor threw: ${toError(problem).message}`
    return { tag: 'failed', error: new Error(text, { cause: error }) }
  }
  const dueAt = nextAttempt(policy, { retries, until, now }, random)
  return dueAt === undefined ? { tag: 'failed', error } : { tag: 'retried', error, dueAt }
}
