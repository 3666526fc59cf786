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
    ['an error', error, {}, { tag: 'failed', error }],
    ['undefined', undefined, {}, { tag: 'failed', error: undefined }],
    ['an error that is retried', error, { policy: always }, { tag: 'retried', error, dueAt: due }],
    ['an error after the last attempt', error, { policy: always, retries: 3 }, { tag: 'failed', error }],
    ['an error after the end of retryUntil', error, { policy: always, until: now }, { tag: 'failed', error }],
    [
      'an error although the task was told that no attempt is left',
      error,
      { policy: always, exhausted: true },
      { tag: 'failed', error },
    ],
    ['Retry', retry, {}, { tag: 'retried', error, dueAt: due }],
    ['Retry without a reason', new Retry(due), {}, { tag: 'retried', error: expect.any(Retry), dueAt: due }],
    ['Retry when the worker stops', retry, { reason: new Shutdown() }, { tag: 'retried', error, dueAt: due }],
    ['Retry after the soft limit', retry, { reason: soft }, { tag: 'retried', error, dueAt: due }],
    ['Retry in a revoked task', retry, { reason: revoked }, { tag: 'revoked', error: revoked }],
    ['Ignore', new Ignore(), { policy: always }, { tag: 'ignored', error: expect.any(Ignore) }],
    ['Reject', new Reject(), { policy: always }, { tag: 'rejected', error: expect.any(Reject), requeue: false }],
    ['Reject with requeue', new Reject({ requeue: true }), {}, { tag: 'rejected', error: expect.any(Reject), requeue: true }],
    [
      'Reject with requeue of a message that was acknowledged early',
      new Reject({ requeue: true }),
      { early: true },
      { tag: 'rejected', error: expect.any(Reject), requeue: false },
    ],
    ['Reject of another copy of this package', foreign, {}, { tag: 'rejected', error: foreign, requeue: true }],
    [
      'MaxRetriesExceededError',
      new MaxRetriesExceededError('x'),
      { policy: always },
      { tag: 'failed', error: expect.any(MaxRetriesExceededError) },
    ],
    ['the abort reason of the soft time limit', soft, { reason: soft, policy: always }, { tag: 'failed', error: soft }],
    [
      'an error after the soft time limit',
      error,
      { reason: soft, policy: always },
      { tag: 'failed', error: expect.objectContaining({ name: 'SoftTimeLimitExceeded', seconds: 3, cause: error }) },
    ],
    [
      'an error after the soft time limit, if the retry policy names the limit',
      error,
      { reason: soft, policy: { ...always, autoretryFor: [SoftTimeLimitExceeded] } },
      { tag: 'retried', error: expect.any(SoftTimeLimitExceeded), dueAt: due },
    ],
    ['any error when the worker stops', error, { reason: new Shutdown(), policy: always }, { tag: 'requeued', counted: false }],
    [
      'any error when the worker stops, if the message was acknowledged early',
      error,
      { reason: new Shutdown(), early: true },
      { tag: 'failed', error: expect.any(WorkerLostError) },
    ],
    [
      'the error that its thread is gone',
      new WorkerLostError('gone'),
      { policy: always },
      { tag: 'requeued', counted: true, reason: expect.stringContaining('gone') },
    ],
    [
      'the error that its thread is gone, if the message was acknowledged early',
      new WorkerLostError('gone'),
      { early: true },
      { tag: 'failed', error: expect.any(WorkerLostError) },
    ],
    [
      'an error for which the retry policy throws',
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
    ['an object without a prototype', Object.create(null), {}, { tag: 'failed', error: expect.anything() }],
  ])('is correct for %s', (_what, thrown, given, verdict) =>
    expect(verdictOf(thrown, { ...usual, ...given }, () => 0)).toEqual(verdict),
  )
})
