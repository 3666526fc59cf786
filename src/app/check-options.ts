import { AppError } from '../errors.ts'
import { checkJson } from '../message/check-json.ts'
import type { ApplyOptions } from './apply-options.ts'
import { rateLimitOf } from './calls/rate.ts'
import type { TaskOptions } from './task-options.ts'

/**
 * Headers that callers may not set, with the option that sets each of them. An empty text means that no option does: only
 * onedyno and Celery write the header. A header set by the caller could contradict the option.
 */
const RESERVED: Readonly<Record<string, string>> = {
  id: 'the option taskId',
  task: 'the name of the task',
  eta: 'the option eta or countdown',
  expires: 'the option expires',
  timelimit: 'the options timeLimit and softTimeLimit',
  shadow: 'the option shadow',
  ignore_result: 'the option ignoreResult',
  ...Object.fromEntries(
    ['retries', 'root_id', 'parent_id', 'group', 'group_index', 'replaced_task_nesting', 'compression'].map((name) => [name, '']),
  ),
  ...Object.fromEntries(['lang', 'argsrepr', 'kwargsrepr', 'origin'].map((name) => [name, ''])),
}

/** A hundred years. A later time could exceed a Date or PostgreSQL's timestamptz. */
const MAX_SECONDS = 3.2e9
/** The largest time of Python's datetime is in the year 9999. */
const MAX_TIME = Date.UTC(10_000, 0, 1)

/**
 * Checks the arguments and options of a call.
 * @throws AppError ARGUMENTS_INVALID, VALUE_NOT_JSON, TASK_OPTION_INVALID
 */
export function checkCall(name: string, args: readonly unknown[], options: ApplyOptions): void {
  if (!Array.isArray(args)) throw new AppError('ARGUMENTS_INVALID', `${name}: args must be a list, not ${shown(args)}`)
  checkJson(args, 'args')
  if (!isText(name, 200)) refuse(`the task name must be a text of 1 to 200 characters, not ${shown(name)}`)
  // HOT: most calls have no options.
  if (options === NO_OPTIONS) return
  if (options === null || typeof options !== 'object') refuse(`${name}: options must be an object, not ${shown(options)}`)
  if (options.kwargs !== undefined) checkJson(options.kwargs, 'kwargs')
  if (options.headers !== undefined) checkHeaders(options.headers)
  checkRoute(options, '')
  checkLimits(options, '')
  checkTimes(options)
  const { taskId, shadow, transaction } = options
  if (taskId !== undefined && !isText(taskId, 255)) refuse(`taskId must be a text of 1 to 255 characters, not ${shown(taskId)}`)
  if (shadow !== undefined && !isText(shadow, 200)) refuse(`shadow must be a text of 1 to 200 characters, not ${shown(shadow)}`)
  if (transaction !== undefined && typeof transaction?.query !== 'function')
    refuse('transaction must be a client with a function "query", such as a client of pg')
}

/** A call without options. */
export const NO_OPTIONS: ApplyOptions = Object.freeze({})

/** Checks the options of `app.task()`. @throws AppError TASK_OPTION_INVALID naming the task */
export function checkTaskOptions(name: string, options: TaskOptions): void {
  const where = `${name}: `
  checkRoute(options, where)
  checkLimits(options, where)
  const { expires, unique, pool, acks, resultTtl, resultMaxBytes } = options
  if (expires !== undefined && !isSeconds(expires))
    refuse(`${where}expires must be a number of seconds above 0, not ${shown(expires)}`)
  if (resultTtl !== undefined && !isSeconds(resultTtl))
    refuse(`${where}resultTtl must be a number of seconds above 0, not ${shown(resultTtl)}`)
  if (resultMaxBytes !== undefined && !(Number.isSafeInteger(resultMaxBytes) && resultMaxBytes > 0))
    refuse(`${where}resultMaxBytes must be a whole number of bytes above 0, not ${shown(resultMaxBytes)}`)
  if (pool !== undefined && !['async', 'thread'].includes(pool))
    refuse(`${where}pool must be "async" or "thread", not ${shown(pool)}`)
  if (acks !== undefined && !['late', 'early'].includes(acks))
    refuse(`${where}acks must be "late" or "early", not ${shown(acks)}`)
  if (unique !== undefined) checkUnique(unique, where)
  checkRate(options, where)
}

function checkRate({ rateLimit }: TaskOptions, where: string): void {
  try {
    rateLimitOf(rateLimit)
  } catch (error) {
    throw error instanceof AppError ? new AppError(error.code, `${where}${error.message}`) : error
  }
}

/** A longer time is most likely a mistake of the unit. */
const MAX_UNIQUE_MS = 366 * 86_400_000

function checkUnique(unique: NonNullable<TaskOptions['unique']>, where: string): void {
  if (unique === null || typeof unique !== 'object')
    refuse(`${where}unique must be an object such as { forMs: 60000 }, not ${shown(unique)}`)
  const { key, forMs, until } = unique
  if (key !== undefined && typeof key !== 'function')
    refuse(`${where}unique.key must be a function of the arguments, not ${shown(key)}`)
  if (!(Number.isFinite(forMs) && forMs >= 1 && forMs <= MAX_UNIQUE_MS))
    refuse(`${where}unique.forMs must be a number of milliseconds from 1 to ${MAX_UNIQUE_MS}, not ${shown(forMs)}`)
  if (until !== undefined && !['end', 'time'].includes(until))
    refuse(`${where}unique.until must be "end" or "time", not ${shown(until)}`)
}

/** Checks the queue and priority of a call, a task or a route. */
export function checkRoute({ queue, priority }: { queue?: unknown; priority?: unknown }, where: string): void {
  if (priority !== undefined && !(Number.isInteger(priority) && (priority as number) >= 0 && (priority as number) <= 255))
    refuse(`${where}priority must be a whole number from 0 to 255, not ${shown(priority)}`)
  if (queue !== undefined && !isText(queue, 200))
    refuse(`${where}queue must be a text of 1 to 200 characters, not ${shown(queue)}`)
}

function checkLimits({ timeLimit, softTimeLimit }: { timeLimit?: unknown; softTimeLimit?: unknown }, where: string): void {
  if (timeLimit !== undefined && !isSeconds(timeLimit))
    refuse(`${where}timeLimit must be a number of seconds above 0, not ${shown(timeLimit)}`)
  if (softTimeLimit !== undefined && !isSeconds(softTimeLimit))
    refuse(`${where}softTimeLimit must be a number of seconds above 0, not ${shown(softTimeLimit)}`)
  if (timeLimit !== undefined && softTimeLimit !== undefined && (softTimeLimit as number) > (timeLimit as number))
    refuse(`${where}softTimeLimit must not be above timeLimit (${timeLimit} s), not ${softTimeLimit}`)
}

function checkTimes({ countdown, eta, expires }: ApplyOptions): void {
  if (countdown !== undefined && !(Number.isFinite(countdown) && countdown >= 0 && countdown <= MAX_SECONDS))
    refuse(`countdown must be a number of seconds from 0 to ${MAX_SECONDS}, not ${shown(countdown)}`)
  if (countdown !== undefined && eta !== undefined) refuse('countdown and eta are both set: set only one of them')
  if (eta !== undefined && !isDate(eta)) refuse(`eta must be a valid Date before the year 10000, not ${shown(eta)}`)
  if (typeof expires === 'number' && !(Math.abs(expires) <= MAX_SECONDS))
    refuse(`expires must be a Date or at most ${MAX_SECONDS} seconds, not ${expires}`)
  if (expires !== undefined && typeof expires !== 'number' && !isDate(expires))
    refuse(`expires must be a number of seconds or a valid Date before the year 10000, not ${shown(expires)}`)
}

function checkHeaders(headers: unknown): void {
  if (headers === null || typeof headers !== 'object' || Array.isArray(headers))
    refuse(`headers must be an object, not ${shown(headers)}`)
  checkJson(headers, 'headers')
  for (const name in headers) {
    const instead = Object.hasOwn(RESERVED, name) ? RESERVED[name] : name.startsWith('onedyno_') ? '' : undefined
    if (instead === undefined) continue
    refuse(`headers.${name} is reserved: ${instead === '' ? 'only onedyno writes this header' : `use ${instead}`}`)
  }
}

const isSeconds = (value: unknown): value is number => typeof value === 'number' && value > 0 && value <= MAX_SECONDS

const isDate = (value: unknown): boolean => {
  const time = typeof (value as Date)?.getTime === 'function' ? (value as Date).getTime() : Number.NaN
  return time > -MAX_TIME && time < MAX_TIME
}

/** Returns true for a text that every broker and PostgreSQL store unchanged: one without NUL and without lone surrogates. */
export const isText = (value: unknown, max: number): boolean =>
  typeof value === 'string' && value.length >= 1 && value.length <= max && !value.includes('\0') && value.isWellFormed()

function shown(value: unknown): string {
  try {
    return (JSON.stringify(value) ?? String(value)).slice(0, 80)
  } catch {
    return typeof value
  }
}

export function refuse(problem: string): never {
  throw new AppError('TASK_OPTION_INVALID', problem)
}
