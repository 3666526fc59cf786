import { AppError } from '../errors.ts'
import type { RetryOptions } from './task-context.ts'
import { MaxRetriesExceededError, Retry } from './task-errors.ts'
import type { ErrorMatch, RetryPolicy } from './task-options.ts'

/** What is known about a task when its next attempt is planned. Times are milliseconds since the epoch. */
export interface AttemptSoFar {
  /** The number of attempts before this one. */
  readonly retries: number
  readonly now: number
  /** The latest time at which an attempt may be due; undefined: no limit. */
  readonly until?: number | undefined
  /** Options of `ctx.retry()`. They override the policy. */
  readonly options?: RetryOptions | undefined
}

/** Celery's default values (app/task.py). */
const MAX_RETRIES = 3
const RETRY_DELAY_S = 180
const BACKOFF_MAX_S = 600
/** A hundred years. A later time could exceed a Date or PostgreSQL's timestamptz. */
const LONGEST_S = 3.2e9

/**
 * Returns when the next attempt is due, or undefined if none is left.
 * @throws AppError TASK_OPTION_INVALID if an option of `ctx.retry()` is not a time or number
 */
export function nextAttempt(policy: RetryPolicy, attempt: AttemptSoFar, random: () => number = Math.random): Date | undefined {
  const { retries, now, until = Number.POSITIVE_INFINITY, options = {} } = attempt
  checkRetryOptions(options)
  const { max = policy.maxRetries === undefined ? MAX_RETRIES : policy.maxRetries } = options
  if (max !== null && retries >= max) return undefined
  const due = options.eta?.getTime() ?? now + (options.countdown ?? pauseOf(policy, retries, random)) * 1000
  return due > until ? undefined : new Date(due)
}

/**
 * Returns the pause before the next attempt, in seconds. Full jitter spreads tasks that failed at the same time
 * (get_exponential_backoff_interval in celery/utils/time.py).
 */
function pauseOf(policy: RetryPolicy, retries: number, random: () => number): number {
  const { retryDelay = RETRY_DELAY_S, retryBackoff = false, retryBackoffMax = BACKOFF_MAX_S, retryJitter = true } = policy
  if (retryBackoff === false || retryBackoff === 0) return retryDelay
  const longest = Math.min(retryBackoffMax, (retryBackoff === true ? 1 : retryBackoff) * 2 ** retries)
  return retryJitter ? random() * longest : longest
}

/**
 * Returns the latest time at which an attempt may be due, in milliseconds since the epoch.
 * @param kept the header `RETRY_UNTIL` of the message, which the first attempt set
 * @param begun the time when this attempt began
 */
export function retryUntil({ retryUntil: until }: RetryPolicy, kept: unknown, begun: number): number | undefined {
  if (until === undefined) return undefined
  if (typeof until === 'object') return until.getTime()
  return typeof kept === 'number' && Number.isFinite(kept) ? kept : begun + until * 1000
}

/**
 * Implements `ctx.retry()`.
 * @throws Retry; if no attempt is left, `options.error`, or MaxRetriesExceededError if no error was given
 */
export function throwRetry(
  policy: RetryPolicy,
  attempt: Omit<AttemptSoFar, 'options' | 'now'> & { readonly id: string; readonly task: string },
  options: RetryOptions = {},
): never {
  const dueAt = nextAttempt(policy, { ...attempt, now: Date.now(), options })
  if (dueAt !== undefined) throw new Retry(dueAt, options.error)
  if (options.error !== undefined) throw options.error
  throw new MaxRetriesExceededError(`can't retry ${attempt.task}[${attempt.id}] after ${attempt.retries} retries`)
}

/** Returns true if the policy retries the task after this error. @throws whatever a function of the policy throws */
export const isRetried = (policy: RetryPolicy, error: unknown): boolean =>
  policy.autoretryFor !== undefined && matches(policy.autoretryFor, error) && !matches(policy.dontAutoretryFor, error)

function matches(match: ErrorMatch | undefined, error: unknown): boolean {
  if (match === undefined) return false
  if (typeof match === 'function') return match(error)
  return match.some((each) => (typeof each === 'string' ? isNamed(error, each) : isOfClass(error, each)))
}

/**
 * The class `Error` in a policy does not match time limit errors, because a retry would most likely exceed the limit again. To
 * retry after them, a policy must name their classes.
 */
const isOfClass = (error: unknown, each: abstract new (...args: never[]) => unknown): boolean =>
  error instanceof each &&
  !((each as unknown) === Error && (isNamed(error, 'TimeLimitExceeded') || isNamed(error, 'SoftTimeLimitExceeded')))

function isNamed(error: unknown, name: string): boolean {
  if (!(error instanceof Error)) return false
  return error.name === name || error.constructor.name === name || (error as { code?: unknown }).code === name
}

function checkRetryOptions({ countdown, eta, max }: RetryOptions): void {
  if (countdown !== undefined && !(countdown >= 0 && countdown <= LONGEST_S)) refuse('countdown', countdown, SECONDS)
  if (eta !== undefined && Number.isNaN(eta?.getTime?.() ?? Number.NaN)) refuse('eta', eta, 'a valid Date')
  if (max !== undefined) checkMax('max', max)
}

const checkMax = (name: string, max: unknown) => {
  if (max !== null && !(Number.isInteger(max) && (max as number) >= 0)) refuse(name, max, 'a whole number of at least 0, or null')
}

/** Checks the retry options of `app.task()`. @throws AppError TASK_OPTION_INVALID */
export function checkRetryPolicy(task: string, policy: RetryPolicy): void {
  const { maxRetries, retryDelay, retryBackoff, retryBackoffMax, retryUntil: until } = policy
  const own = (name: string) => `${task}: ${name}`
  if (maxRetries !== undefined) checkMax(own('maxRetries'), maxRetries)
  for (const [name, value] of Object.entries({ retryDelay, retryBackoffMax }))
    if (value !== undefined && !isSeconds(value)) refuse(own(name), value, SECONDS)
  if (retryBackoff !== undefined && typeof retryBackoff !== 'boolean' && !isSeconds(retryBackoff))
    refuse(own('retryBackoff'), retryBackoff, `true, false or ${SECONDS}`)
  if (until !== undefined && !(until instanceof Date ? !Number.isNaN(until.getTime()) : isSeconds(until)))
    refuse(own('retryUntil'), until, `a valid Date or ${SECONDS}`)
  for (const [name, value] of Object.entries({ autoretryFor: policy.autoretryFor, dontAutoretryFor: policy.dontAutoretryFor }))
    if (value !== undefined && !isMatch(value)) refuse(own(name), value, 'a list of classes and names of errors, or a function')
}

const SECONDS = 'a number of seconds of at least 0'

const isSeconds = (value: unknown): boolean => typeof value === 'number' && value >= 0 && value <= LONGEST_S

const isMatch = (value: unknown): boolean =>
  typeof value === 'function' ||
  (Array.isArray(value) && value.every((each) => typeof each === 'string' || typeof each === 'function'))

function refuse(option: string, value: unknown, wanted: string): never {
  const shown = typeof value === 'string' ? JSON.stringify(value) : String(value)
  throw new AppError('TASK_OPTION_INVALID', `${option} must be ${wanted}, not ${shown}`)
}
