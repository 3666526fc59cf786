import { describe, expect, it } from 'vitest'
import { createRegistry } from '../../../src/app/app.ts'
import { type AttemptSoFar, isRetried, nextAttempt, retryUntil } from '../../../src/app/retry-policy.ts'
import { SoftTimeLimitExceeded, TimeLimitExceeded } from '../../../src/app/task-errors.ts'
import type { ErrorMatch, RetryPolicy } from '../../../src/app/task-options.ts'
import { AppError } from '../../../src/errors.ts'

const now = Date.UTC(2030, 0, 1)
const eta = new Date(now + 90_000)

describe('the next attempt', () => {
  it.each<[what: string, policy: RetryPolicy, attempt: Partial<AttemptSoFar>, random: number, seconds: number | undefined]>([
    ['waits three minutes, as with Celery', {}, {}, 0, 180],
    ['waits as long as the task says', { retryDelay: 7 }, {}, 0, 7],
    ['may come at once', { retryDelay: 0 }, {}, 0, 0],
    ['waits as long as this attempt says', { retryDelay: 7, retryBackoff: true }, { options: { countdown: 2.5 } }, 0.9, 2.5],
    ['comes when this attempt says', { retryDelay: 7 }, { options: { eta } }, 0, 90],
    ['is the third by default', {}, { retries: 2 }, 0, 180],
    ['is none after three', {}, { retries: 3 }, 0, undefined],
    ['is none when none is wanted', { maxRetries: 0 }, {}, 0, undefined],
    ['is one more when the task says so', { maxRetries: 4 }, { retries: 3 }, 0, 180],
    ['is one more for ever', { maxRetries: null }, { retries: 1_000_000 }, 0, 180],
    ['is as this attempt says, fewer', { maxRetries: null }, { retries: 1, options: { max: 1 } }, 0, undefined],
    ['is as this attempt says, more', { maxRetries: 0 }, { retries: 5, options: { max: 6 } }, 0, 180],
    ['is as this attempt says, for ever', { maxRetries: 0 }, { retries: 5, options: { max: null } }, 0, 180],
    ['backs off by a second', { retryBackoff: true, retryJitter: false }, { retries: 0 }, 0, 1],
    ['backs off twice as long each time', { retryBackoff: true, retryJitter: false }, { retries: 2 }, 0, 4],
    ['backs off by its factor', { retryBackoff: 3, retryJitter: false }, { retries: 2 }, 0, 12],
    [
      'backs off no longer than ten minutes',
      { retryBackoff: true, retryJitter: false, maxRetries: null },
      { retries: 20 },
      0,
      600,
    ],
    ['backs off no longer than it says', { retryBackoff: 5, retryBackoffMax: 8, retryJitter: false }, { retries: 1 }, 0, 8],
    [
      'backs off although the power is infinite',
      { retryBackoff: true, retryJitter: false, maxRetries: null },
      { retries: 5000 },
      0,
      600,
    ],
    ['backs off by anything from nothing', { retryBackoff: 4 }, { retries: 1 }, 0, 0],
    ['backs off by anything up to all of it', { retryBackoff: 4 }, { retries: 1 }, 0.75, 6],
    ['has no jitter without back-off', { retryDelay: 10, retryJitter: true }, {}, 0.1, 10],
    ['waits as without back-off for a factor of 0', { retryBackoff: 0, retryDelay: 9 }, {}, 0.5, 9],
    ['is due at the last moment', { retryDelay: 10 }, { until: now + 10_000 }, 0, 10],
    ['is none when it would be due later', { retryDelay: 10 }, { until: now + 9999 }, 0, undefined],
  ])('%s', (_what, policy, attempt, random, seconds) => {
    const dueAt = nextAttempt(policy, { retries: 0, now, ...attempt }, () => random)
    expect(dueAt === undefined ? undefined : (dueAt.getTime() - now) / 1000).toBe(seconds)
  })

  it('is spread evenly by its jitter', () => {
    const dues = Array.from({ length: 2000 }, () => nextAttempt({ retryBackoff: 8 }, { retries: 0, now })!.getTime() - now)
    expect(Math.min(...dues)).toBeLessThan(200)
    expect(Math.max(...dues)).toBeGreaterThan(7800)
    expect(Math.max(...dues)).toBeLessThanOrEqual(8000)
    const mean = dues.reduce((sum, due) => sum + due, 0) / dues.length
    expect(Math.abs(mean - 4000)).toBeLessThan(400)
  })

  it.each([
    ['countdown NaN', { countdown: Number.NaN }],
    ['countdown -1', { countdown: -1 }],
    ['eta Invalid Date', { eta: new Date(Number.NaN) }],
    ['max 1.5', { max: 1.5 }],
    ['max -1', { max: -1 }],
  ])('is refused for %s', (words, options) =>
    expect(() => nextAttempt({}, { retries: 0, now, options })).toThrow(
      expect.objectContaining({ code: 'TASK_OPTION_INVALID', message: expect.stringContaining(words) }),
    ),
  )
})

describe('the end of all attempts', () => {
  it.each<[what: string, policy: RetryPolicy, kept: unknown, until: number | undefined]>([
    ['is none', {}, now, undefined],
    ['is a moment', { retryUntil: eta }, undefined, eta.getTime()],
    ['is a moment, whatever a former attempt kept', { retryUntil: eta }, 5, eta.getTime()],
    ['counts from the first attempt', { retryUntil: 60 }, undefined, now + 60_000],
    ['is what the first attempt kept', { retryUntil: 60 }, now + 1, now + 1],
    ['counts anew where a stranger wrote what is no time', { retryUntil: 60 }, 'soon', now + 60_000],
  ])('%s', (_what, policy, kept, until) => expect(retryUntil(policy, kept, now)).toBe(until))
})

class Flaky extends Error {}
class Hopeless extends Flaky {}

describe('an error is retried', () => {
  it.each<[what: string, error: unknown, retried: boolean, match: ErrorMatch | undefined, except?: ErrorMatch]>([
    ['by nobody', new Flaky(), false, undefined],
    ['by its class', new Flaky(), true, [Flaky]],
    ['by the class above it', new Hopeless(), true, [TypeError, Flaky]],
    ['not by the class below it', new Flaky(), false, [Hopeless]],
    ['by the name of its class', new Flaky(), true, ['Flaky']],
    ['by its own name', Object.assign(new Error('x'), { name: 'Named' }), true, ['Named']],
    ['by its code', new AppError('URL_REFUSED', 'x'), true, ['URL_REFUSED']],
    ['by a function', 5, true, (error) => error === 5],
    ['not by a function', 6, false, (error) => error === 5],
    ['not as an error when it is none', 'Flaky', false, ['Flaky', Error]],
    ['not when it is excepted', new Hopeless(), false, [Flaky], [Hopeless]],
    ['when another is excepted', new Flaky(), true, [Flaky], ['Hopeless']],
    ['by the name of a time limit', new TimeLimitExceeded(1), true, ['TimeLimitExceeded']],
    ['by the class of a time limit', new SoftTimeLimitExceeded(1), true, [SoftTimeLimitExceeded]],
    ['not as any error when it is a time limit', new SoftTimeLimitExceeded(1), false, [Error]],
  ])('%s', (_what, error, retried, autoretryFor, dontAutoretryFor) =>
    expect(
      isRetried(
        {
          ...(autoretryFor === undefined ? {} : { autoretryFor }),
          ...(dontAutoretryFor === undefined ? {} : { dontAutoretryFor }),
        },
        error,
      ),
    ).toBe(retried),
  )
})

describe('a task is not registered', () => {
  it.each<[what: string, policy: object, words: string]>([
    ['a negative number of retries', { maxRetries: -1 }, 't: maxRetries -1 is not a whole number from 0, or null'],
    ['a pause that is a text', { retryDelay: '10' }, 't: retryDelay 10 is not seconds from 0'],
    ['a longest pause that is none', { retryBackoffMax: Number.NaN }, 't: retryBackoffMax NaN is not seconds'],
    ['a factor below nothing', { retryBackoff: -2 }, 't: retryBackoff -2 is not true, false or seconds'],
    ['an end that is no time', { retryUntil: new Date(Number.NaN) }, 't: retryUntil Invalid Date is not a valid Date or seconds'],
    ['one class instead of a list', { autoretryFor: 'Error' }, 't: autoretryFor Error is not a list of classes and names'],
    ['a list with something else in it', { dontAutoretryFor: [5] }, 't: dontAutoretryFor 5 is not a list of classes and names'],
  ])('with %s', (_what, policy, words) => {
    const app = createRegistry(() => Promise.reject(new Error('no connections')))
    expect(() => app.task('t', () => 1, policy)).toThrow(
      expect.objectContaining({ code: 'TASK_OPTION_INVALID', message: expect.stringContaining(words) }),
    )
  })
})
