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

describe('the verdict on an attempt whose code threw', () => {
  it.each<[what: string, thrown: unknown, given: Partial<Circumstances>, verdict: Verdict]>([
    ['is "failed" for an error', error, {}, { tag: 'failed', error }],
    ['is "failed" for undefined', undefined, {}, { tag: 'failed', error: undefined }],
    ['is "retried" for an error that the policy retries', error, { policy: always }, { tag: 'retried', error, dueAt: due }],
    ['is "failed" for an error after the last attempt', error, { policy: always, retries: 3 }, { tag: 'failed', error }],
    ['is "failed" for an error after the end of retryUntil', error, { policy: always, until: now }, { tag: 'failed', error }],
    [
      'is "failed" for an error after the task was told that no attempt is left',
      error,
      { policy: always, exhausted: true },
      { tag: 'failed', error },
    ],
    ['is "retried" for Retry', retry, {}, { tag: 'retried', error, dueAt: due }],
    ['is "retried" for Retry without a reason', new Retry(due), {}, { tag: 'retried', error: expect.any(Retry), dueAt: due }],
    ['is "retried" for Retry when the worker stops', retry, { reason: new Shutdown() }, { tag: 'retried', error, dueAt: due }],
    ['is "retried" for Retry after the soft time limit', retry, { reason: soft }, { tag: 'retried', error, dueAt: due }],
    ['is "revoked" for Retry in a revoked task', retry, { reason: revoked }, { tag: 'revoked', error: revoked }],
    ['is "ignored" for Ignore', new Ignore(), { policy: always }, { tag: 'ignored', error: expect.any(Ignore) }],
    [
      'is "rejected" without a requeue for Reject',
      new Reject(),
      { policy: always },
      { tag: 'rejected', error: expect.any(Reject), requeue: false },
    ],
    [
      'is "rejected" with a requeue for Reject with requeue',
      new Reject({ requeue: true }),
      {},
      { tag: 'rejected', error: expect.any(Reject), requeue: true },
    ],
    [
      'is "rejected" without a requeue for Reject with requeue if the message was acknowledged early',
      new Reject({ requeue: true }),
      { early: true },
      { tag: 'rejected', error: expect.any(Reject), requeue: false },
    ],
    ['is "rejected" for Reject of another copy of this package', foreign, {}, { tag: 'rejected', error: foreign, requeue: true }],
    [
      'is "failed" for MaxRetriesExceededError',
      new MaxRetriesExceededError('x'),
      { policy: always },
      { tag: 'failed', error: expect.any(MaxRetriesExceededError) },
    ],
    [
      'is "failed" for the abort reason of the soft time limit',
      soft,
      { reason: soft, policy: always },
      { tag: 'failed', error: soft },
    ],
    [
      'is "failed" with SoftTimeLimitExceeded for an error after the soft time limit',
      error,
      { reason: soft, policy: always },
      { tag: 'failed', error: expect.objectContaining({ name: 'SoftTimeLimitExceeded', seconds: 3, cause: error }) },
    ],
    [
      'is "retried" for an error after the soft time limit if the retry policy names the limit',
      error,
      { reason: soft, policy: { ...always, autoretryFor: [SoftTimeLimitExceeded] } },
      { tag: 'retried', error: expect.any(SoftTimeLimitExceeded), dueAt: due },
    ],
    [
      'is "requeued" for any error when the worker stops',
      error,
      { reason: new Shutdown(), policy: always },
      { tag: 'requeued', counted: false },
    ],
    [
      'is "failed" for any error when the worker stops if the message was acknowledged early',
      error,
      { reason: new Shutdown(), early: true },
      { tag: 'failed', error: expect.any(WorkerLostError) },
    ],
    [
      'is "requeued" for the error that the thread of the attempt is gone',
      new WorkerLostError('gone'),
      { policy: always },
      { tag: 'requeued', counted: true, reason: expect.stringContaining('gone') },
    ],
    [
      'is "failed" for the error that the thread is gone if the message was acknowledged early',
      new WorkerLostError('gone'),
      { early: true },
      { tag: 'failed', error: expect.any(WorkerLostError) },
    ],
    [
      'is "failed" for an error for which the retry policy throws',
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
        error: expect.objectContaining({ message: 'the function autoretryFor or dontAutoretryFor threw: broken', cause: error }),
      },
    ],
    ['is "failed" for an object without a prototype', Object.create(null), {}, { tag: 'failed', error: expect.anything() }],
  ])('%s', (_what, thrown, given, verdict) => expect(verdictOf(thrown, { ...usual, ...given }, () => 0)).toEqual(verdict))
})
