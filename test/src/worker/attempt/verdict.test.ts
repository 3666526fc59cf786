import { describe, expect, it } from 'vitest'
import { Ignore, MaxRetriesExceededError, Reject, Retry, SoftTimeLimitExceeded } from '../../../../src/app/task-errors.ts'
import { Revocation, Shutdown, WorkerLostError } from '../../../../src/worker/attempt/interruptions.ts'
import { type Circumstances, type Verdict, verdictOf } from '../../../../src/worker/attempt/verdict.ts'

const now = Date.UTC(2030, 0, 1)
const usual: Circumstances = { reason: undefined, policy: {}, early: false, retries: 0, until: undefined, exhausted: false, now }
const error = new Error('x')
const due = new Date(now + 5000)
const always = { autoretryFor: [Error], retryDelay: 5 }
const soft = new SoftTimeLimitExceeded(3)
const revoked = new Revocation()
const retry = new Retry(due, error)

/** What another copy of this package throws, or one that came out of a thread. */
const foreign = Object.assign(new Error('of another copy'), { controlFlow: 'onedyno.reject', requeue: true })

describe('what becomes of an attempt whose code threw', () => {
  it.each<[what: string, thrown: unknown, given: Partial<Circumstances>, verdict: Verdict]>([
    ['an error', error, {}, { tag: 'failed', error }],
    ['nothing at all', undefined, {}, { tag: 'failed', error: undefined }],
    ['an error that is retried', error, { policy: always }, { tag: 'retried', error, dueAt: due }],
    ['an error after the last attempt', error, { policy: always, retries: 3 }, { tag: 'failed', error }],
    ['an error after the time is up', error, { policy: always, until: now }, { tag: 'failed', error }],
    [
      'an error although the task was told that none is left',
      error,
      { policy: always, exhausted: true },
      { tag: 'failed', error },
    ],
    ['Retry', retry, {}, { tag: 'retried', error, dueAt: due }],
    ['Retry without a reason', new Retry(due), {}, { tag: 'retried', error: expect.any(Retry), dueAt: due }],
    ['Retry when the worker stops', retry, { reason: new Shutdown() }, { tag: 'retried', error, dueAt: due }],
    ['Retry after the soft limit', retry, { reason: soft }, { tag: 'retried', error, dueAt: due }],
    ['Retry of a revoked task', retry, { reason: revoked }, { tag: 'revoked', error: revoked }],
    ['Ignore', new Ignore(), { policy: always }, { tag: 'ignored', error: expect.any(Ignore) }],
    ['Reject', new Reject(), { policy: always }, { tag: 'rejected', error: expect.any(Reject), requeue: false }],
    ['Reject with requeue', new Reject({ requeue: true }), {}, { tag: 'rejected', error: expect.any(Reject), requeue: true }],
    [
      'Reject of what was acknowledged',
      new Reject({ requeue: true }),
      { early: true },
      { tag: 'rejected', error: expect.any(Reject), requeue: false },
    ],
    ['Reject of another copy of this package', foreign, {}, { tag: 'rejected', error: foreign, requeue: true }],
    [
      'that no attempt is left',
      new MaxRetriesExceededError('x'),
      { policy: always },
      { tag: 'failed', error: expect.any(MaxRetriesExceededError) },
    ],
    ['the reason of the soft limit', soft, { reason: soft, policy: always }, { tag: 'failed', error: soft }],
    [
      'an error after the soft limit',
      error,
      { reason: soft, policy: always },
      { tag: 'failed', error: expect.objectContaining({ name: 'SoftTimeLimitExceeded', seconds: 3, cause: error }) },
    ],
    [
      'the soft limit where the policy names it',
      error,
      { reason: soft, policy: { ...always, autoretryFor: [SoftTimeLimitExceeded] } },
      { tag: 'retried', error: expect.any(SoftTimeLimitExceeded), dueAt: due },
    ],
    ['anything when the worker stops', error, { reason: new Shutdown(), policy: always }, { tag: 'requeued', counted: false }],
    [
      'anything when the worker stops, acknowledged',
      error,
      { reason: new Shutdown(), early: true },
      { tag: 'failed', error: expect.any(WorkerLostError) },
    ],
    [
      'that its thread is gone',
      new WorkerLostError('gone'),
      { policy: always },
      { tag: 'requeued', counted: true, reason: expect.stringContaining('gone') },
    ],
    [
      'that its thread is gone, acknowledged',
      new WorkerLostError('gone'),
      { early: true },
      { tag: 'failed', error: expect.any(WorkerLostError) },
    ],
    [
      'an error that the policy itself cannot bear',
      error,
      {
        policy: {
          autoretryFor: () => {
            throw new Error('broken')
          },
        },
      },
      {
        tag: 'failed',
        error: expect.objectContaining({ message: 'autoretryFor or dontAutoretryFor failed: broken', cause: error }),
      },
    ],
    ['what cannot be looked at', Object.create(null), {}, { tag: 'failed', error: expect.anything() }],
  ])('%s', (_what, thrown, given, verdict) => expect(verdictOf(thrown, { ...usual, ...given }, () => 0)).toEqual(verdict))
})
