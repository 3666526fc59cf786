import { isRetried, nextAttempt } from '../../app/retry-policy.ts'
import { controlFlowOf, type Reject, type Retry, SoftTimeLimitExceeded } from '../../app/task-errors.ts'
import type { RetryPolicy } from '../../app/task-options.ts'
import { toError } from '../../errors.ts'
import { WorkerLostError } from '../threads/worker-lost.ts'
import { Revocation, Shutdown } from './interruptions.ts'

/** What becomes of an attempt whose code threw. */
export type Verdict =
  | { readonly tag: 'failed'; readonly error: unknown }
  | { readonly tag: 'again'; readonly error: unknown; readonly dueAt: Date }
  | { readonly tag: 'revoked'; readonly error: unknown }
  | { readonly tag: 'ignored'; readonly error: unknown }
  | { readonly tag: 'rejected'; readonly error: unknown; readonly requeue: boolean }
  /** `counted`: as a death of its worker; `reason`: how it died. */
  | { readonly tag: 'handedBack'; readonly counted: boolean; readonly reason?: string }

export interface Circumstances {
  /** Why `ctx.signal` was aborted; undefined: it was not. */
  readonly reason: unknown
  readonly policy: RetryPolicy
  /** Acknowledged before it ran: it cannot be handed back. */
  readonly early: boolean
  readonly retries: number
  readonly until: number | undefined
  /** `ctx.retry()` has said that no attempt is left. */
  readonly exhausted: boolean
  /** Milliseconds since the epoch. */
  readonly now: number
}

/** A wish of the task itself comes first, then what was done to it, then its policy. */
export function verdictOf(thrown: unknown, given: Circumstances, random?: () => number): Verdict {
  const { reason, early } = given
  if (reason instanceof Revocation) return { tag: 'revoked', error: reason }
  const wish = wishOf(thrown, early)
  if (wish !== undefined) return wish
  if (reason instanceof Shutdown) return early ? { tag: 'failed', error: lostEarly() } : { tag: 'handedBack', counted: false }
  // Nobody knows how far it came, and another thread may fare better: counted, so that it does not go on for ever.
  if (thrown instanceof WorkerLostError && !early) return { tag: 'handedBack', counted: true, reason: thrown.message }
  return afterError(reason instanceof SoftTimeLimitExceeded ? overdue(reason, thrown) : thrown, given, random)
}

/** What is recorded of a task that was acknowledged early and did not end before its worker. */
export const lostEarly = (): Error => new WorkerLostError('it was asked to stop, and the task was acknowledged early')

function wishOf(thrown: unknown, early: boolean): Verdict | undefined {
  switch (controlFlowOf(thrown)) {
    case 'ignore':
      return { tag: 'ignored', error: thrown }
    case 'reject':
      // What was acknowledged early is not in the queue any more: it can only be kept aside.
      return { tag: 'rejected', error: thrown, requeue: (thrown as Reject).requeue === true && !early }
    case 'retry': {
      const { dueAt, cause } = thrown as Retry
      const isMoment = dueAt instanceof Date && !Number.isNaN(dueAt.getTime())
      return isMoment ? { tag: 'again', error: cause ?? thrown, dueAt } : { tag: 'failed', error: thrown }
    }
    case 'exhausted':
      return { tag: 'failed', error: thrown }
    default:
      return undefined
  }
}

/** Whatever a task throws because its signal was aborted, the reason is the limit. */
const overdue = (reason: SoftTimeLimitExceeded, thrown: unknown): unknown =>
  thrown === reason || thrown === undefined
    ? reason
    : Object.assign(new SoftTimeLimitExceeded(reason.seconds), { stack: reason.stack, cause: thrown })

/** The policy alone decides: what becomes of an attempt that ended by this error. */
export function afterError(
  error: unknown,
  { policy, retries, until, exhausted, now }: Circumstances,
  random?: () => number,
): Verdict {
  if (exhausted) return { tag: 'failed', error }
  try {
    if (!isRetried(policy, error)) return { tag: 'failed', error }
  } catch (problem) {
    const words = `autoretryFor or dontAutoretryFor failed: ${toError(problem).message}`
    return { tag: 'failed', error: new Error(words, { cause: error }) }
  }
  const dueAt = nextAttempt(policy, { retries, until, now }, random)
  return dueAt === undefined ? { tag: 'failed', error } : { tag: 'again', error, dueAt }
}
