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
    ['is due after three minutes by default, as with Celery', {}, {}, 0, 180],
    ['is due after retryDelay', { retryDelay: 7 }, {}, 0, 7],
    ['is due at once with retryDelay 0', { retryDelay: 0 }, {}, 0, 0],
    ['is due after the countdown of retry()', { retryDelay: 7, retryBackoff: true }, { options: { countdown: 2.5 } }, 0.9, 2.5],
    ['is due at the eta of retry()', { retryDelay: 7 }, { options: { eta } }, 0, 90],
    ['is allowed as the third retry by default', {}, { retries: 2 }, 0, 180],
    ['is refused after three retries by default', {}, { retries: 3 }, 0, undefined],
    ['is refused with maxRetries 0', { maxRetries: 0 }, {}, 0, undefined],
    ['is allowed up to maxRetries', { maxRetries: 4 }, { retries: 3 }, 0, 180],
    ['is always allowed with maxRetries null', { maxRetries: null }, { retries: 1_000_000 }, 0, 180],
    ['is refused by a smaller max of retry()', { maxRetries: null }, { retries: 1, options: { max: 1 } }, 0, undefined],
    ['is allowed by a larger max of retry()', { maxRetries: 0 }, { retries: 5, options: { max: 6 } }, 0, 180],
    ['is always allowed by max null of retry()', { maxRetries: 0 }, { retries: 5, options: { max: null } }, 0, 180],
    ['is due one second after the first attempt with back-off', { retryBackoff: true, retryJitter: false }, { retries: 0 }, 0, 1],
    [
      'is delayed twice as long as the attempt before it with back-off',
      { retryBackoff: true, retryJitter: false },
      { retries: 2 },
      0,
      4,
    ],
    ['is delayed by a multiple of the number in retryBackoff', { retryBackoff: 3, retryJitter: false }, { retries: 2 }, 0, 12],
    [
      'is delayed by at most ten minutes with back-off',
      { retryBackoff: true, retryJitter: false, maxRetries: null },
      { retries: 20 },
      0,
      600,
    ],
    ['is delayed by at most retryBackoffMax', { retryBackoff: 5, retryBackoffMax: 8, retryJitter: false }, { retries: 1 }, 0, 8],
    [
      'is delayed by ten minutes if the exponential delay overflows to Infinity',
      { retryBackoff: true, retryJitter: false, maxRetries: null },
      { retries: 5000 },
      0,
      600,
    ],
    ['is delayed by 0 seconds at the lowest jitter', { retryBackoff: 4 }, { retries: 1 }, 0, 0],
    ['is delayed by a share of the back-off delay with jitter', { retryBackoff: 4 }, { retries: 1 }, 0.75, 6],
    ['has no jitter without back-off', { retryDelay: 10, retryJitter: true }, {}, 0.1, 10],
    ['is due after retryDelay if retryBackoff is 0', { retryBackoff: 0, retryDelay: 9 }, {}, 0.5, 9],
    ['is allowed exactly at retryUntil', { retryDelay: 10 }, { until: now + 10_000 }, 0, 10],
    ['is refused after retryUntil', { retryDelay: 10 }, { until: now + 9999 }, 0, undefined],
  ])('%s', (_what, policy, attempt, random, seconds) => {
    const dueAt = nextAttempt(policy, { retries: 0, now, ...attempt }, () => random)
    expect(dueAt === undefined ? undefined : (dueAt.getTime() - now) / 1000).toBe(seconds)
  })

  it('is delayed by times that the jitter spreads evenly', () => {
    const dues = Array.from({ length: 2000 }, () => nextAttempt({ retryBackoff: 8 }, { retries: 0, now })!.getTime() - now)
    expect(Math.min(...dues)).toBeLessThan(200)
    expect(Math.max(...dues)).toBeGreaterThan(7800)
    expect(Math.max(...dues)).toBeLessThanOrEqual(8000)
    const mean = dues.reduce((sum, due) => sum + due, 0) / dues.length
    expect(Math.abs(mean - 4000)).toBeLessThan(400)
  })

  it.each([
    ['a countdown of NaN', { countdown: Number.NaN }, 'countdown must be a number of seconds of at least 0, not NaN'],
    ['a countdown of -1', { countdown: -1 }, 'countdown must be a number of seconds of at least 0, not -1'],
    ['an invalid Date as eta', { eta: new Date(Number.NaN) }, 'eta must be a valid Date, not Invalid Date'],
    ['a max of 1.5', { max: 1.5 }, 'max must be a whole number of at least 0, or null, not 1.5'],
    ['a max of -1', { max: -1 }, 'max must be a whole number of at least 0, or null, not -1'],
  ])('is refused for %s', (_name, options, words) =>
    expect(() => nextAttempt({}, { retries: 0, now, options })).toThrow(
      expect.objectContaining({ code: 'TASK_OPTION_INVALID', message: expect.stringContaining(words) }),
    ),
  )
})

describe('retryUntil', () => {
  it.each<[what: string, policy: RetryPolicy, kept: unknown, until: number | undefined]>([
    ['is undefined without the option', {}, now, undefined],
    ['is the Date of the option', { retryUntil: eta }, undefined, eta.getTime()],
    ['is the Date of the option even if the message carries a time', { retryUntil: eta }, 5, eta.getTime()],
    ['counts its number of seconds from the first attempt', { retryUntil: 60 }, undefined, now + 60_000],
    ['is the time that the first attempt put into the message', { retryUntil: 60 }, now + 1, now + 1],
    [
      'counts its number of seconds from now if the header of the message is not a number',
      { retryUntil: 60 },
      'soon',
      now + 60_000,
    ],
  ])('%s', (_what, policy, kept, until) => expect(retryUntil(policy, kept, now)).toBe(until))
})

class Flaky extends Error {}
class Hopeless extends Flaky {}

describe('isRetried', () => {
  it.each<[what: string, error: unknown, retried: boolean, match: ErrorMatch | undefined, except?: ErrorMatch]>([
    ['is false without autoretryFor', new Flaky(), false, undefined],
    ['is true if autoretryFor has the class of the error', new Flaky(), true, [Flaky]],
    ['is true if autoretryFor has a superclass of the error', new Hopeless(), true, [TypeError, Flaky]],
    ['is false if autoretryFor has only a subclass of the error', new Flaky(), false, [Hopeless]],
    ['is true if autoretryFor has the name of the class', new Flaky(), true, ['Flaky']],
    ['is true if autoretryFor has the name of the error', Object.assign(new Error('x'), { name: 'Named' }), true, ['Named']],
    ['is true if autoretryFor has the code of the error', new AppError('URL_REFUSED', 'x'), true, ['URL_REFUSED']],
    ['is true if the function in autoretryFor returns true', 5, true, (error) => error === 5],
    ['is false if the function in autoretryFor returns false', 6, false, (error) => error === 5],
    ['is false for a thrown string', 'Flaky', false, ['Flaky', Error]],
    ['is false if dontAutoretryFor matches', new Hopeless(), false, [Flaky], [Hopeless]],
    ['is true if dontAutoretryFor matches another error', new Flaky(), true, [Flaky], ['Hopeless']],
    ['is true for a time limit if autoretryFor has its name', new TimeLimitExceeded(1), true, ['TimeLimitExceeded']],
    ['is true for a time limit if autoretryFor has its class', new SoftTimeLimitExceeded(1), true, [SoftTimeLimitExceeded]],
    ['is false for a time limit if autoretryFor is [Error]', new SoftTimeLimitExceeded(1), false, [Error]],
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

describe('app.task refuses', () => {
  it.each<[what: string, policy: object, words: string]>([
    ['a negative number of retries', { maxRetries: -1 }, 't: maxRetries must be a whole number of at least 0, or null, not -1'],
    ['a retryDelay that is a string', { retryDelay: '10' }, 't: retryDelay must be a number of seconds of at least 0, not "10"'],
    [
      'a retryBackoffMax of NaN',
      { retryBackoffMax: Number.NaN },
      't: retryBackoffMax must be a number of seconds of at least 0, not NaN',
    ],
    [
      'a negative back-off factor',
      { retryBackoff: -2 },
      't: retryBackoff must be true, false or a number of seconds of at least 0, not -2',
    ],
    [
      'an invalid Date as retryUntil',
      { retryUntil: new Date(Number.NaN) },
      't: retryUntil must be a valid Date or a number of seconds of at least 0, not Invalid Date',
    ],
    [
      'a class name instead of a list in autoretryFor',
      { autoretryFor: 'Error' },
      't: autoretryFor must be a list of classes and names of errors, or a function, not "Error"',
    ],
    [
      'a list with a number in dontAutoretryFor',
      { dontAutoretryFor: [5] },
      't: dontAutoretryFor must be a list of classes and names of errors, or a function, not 5',
    ],
  ])('%s', (_what, policy, words) => {
    const app = createRegistry(() => Promise.reject(new Error('no connections')))
    expect(() => app.task('t', () => 1, policy)).toThrow(
      expect.objectContaining({ code: 'TASK_OPTION_INVALID', message: expect.stringContaining(words) }),
    )
  })
})
