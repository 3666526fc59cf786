import { AppError } from '../../errors.ts'
import { parseCeleryTime } from '../../message/message.ts'
import type { Signature, SignatureOptions } from '../../message/signature.ts'
import type { ApplyOptions } from '../apply-options.ts'
import { refuse } from '../check-options.ts'

export const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** Returns `link` or `link_error` as a list, because each may be one signature or several. */
export function listOf(links: SignatureOptions['link']): readonly Signature[] {
  if (links == null) return []
  return Array.isArray(links) ? links : [links as Signature]
}

/**
 * Merges options. Options of the caller override options of the signature, except the group of which the signature is a member
 * (`_merge` in celery/canvas.py).
 */
export function merged(own: SignatureOptions, given: SignatureOptions): SignatureOptions {
  const kept = own.group_id == null ? {} : { group_id: own.group_id }
  return { ...own, ...given, ...kept, ...stamps(own, given) }
}

/** Merges the stamps of both, so that none is lost. */
function stamps(own: SignatureOptions, given: SignatureOptions): SignatureOptions {
  if (own.stamped_headers == null || given.stamped_headers == null) return {}
  return { stamped_headers: [...new Set([...own.stamped_headers, ...given.stamped_headers])] }
}

/**
 * Checks the options that are needed to build a tree. Other options are checked when a message is made.
 * @throws AppError SIGNATURE_INVALID
 */
export function checkOptions(task: string, options: SignatureOptions): SignatureOptions {
  for (const name of ['task_id', 'group_id'] as const) {
    const id = options[name]
    if (id == null || (typeof id === 'string' && id.length >= 1 && id.length <= 255 && !id.includes('\0'))) continue
    throw new AppError(
      'SIGNATURE_INVALID',
      `${task}: options.${name} must be a text of 1 to 255 characters, not ${JSON.stringify(id)?.slice(0, 80)}`,
    )
  }
  for (const name of ['link', 'link_error'] as const) {
    if (listOf(options[name]).every(isRecord)) continue
    throw new AppError('SIGNATURE_INVALID', `${task}: options.${name} must be a signature or a list of signatures`)
  }
  if (options.chord != null && !isRecord(options.chord))
    throw new AppError('SIGNATURE_INVALID', `${task}: options.chord must be a signature`)
  if (!('task_id' in options) || options.task_id != null) return options
  return Object.fromEntries(Object.entries(options).filter(([name]) => name !== 'task_id'))
}

export function invalid(problem: string): never {
  throw new AppError('SIGNATURE_INVALID', `the signature is invalid: ${problem}`)
}

/** Converts options of a call to the keywords of Celery's `apply_async`. The reverse of `callOptions`. */
export function wireOptions(options: ApplyOptions): SignatureOptions {
  const { countdown, eta, expires, queue, priority, taskId, headers, softTimeLimit, timeLimit, ignoreResult, shadow } = options
  return defined({
    ...{ countdown, eta: eta?.toISOString(), expires: expires instanceof Date ? expires.toISOString() : expires },
    ...{ queue, priority, task_id: taskId, headers, soft_time_limit: softTimeLimit, time_limit: timeLimit },
    ...{ ignore_result: ignoreResult, shadow },
  })
}

/** The call that a signature of one task describes. */
export interface SignatureCall {
  readonly task: string
  readonly args: readonly unknown[]
  readonly options: ApplyOptions
}

/** Options by which a task belongs to a workflow: its links, and the groups of which it is a member. */
const OF_WORKFLOWS = ['link', 'link_error', 'chord', 'group_id'] as const

/** Returns the call of a signature. @throws AppError TASK_OPTION_INVALID if the signature has more than one task */
export function callOf({ task, args, kwargs, options, subtask_type }: Signature): SignatureCall {
  if (subtask_type !== null || OF_WORKFLOWS.some((name) => hasSome(options[name])))
    refuse(`the signature of ${task} belongs to a workflow: send the workflow with its delay()`)
  return { task, args, options: callOptions(options, kwargs) }
}

const hasSome = (value: unknown) => value != null && !(Array.isArray(value) && value.length === 0)

/** Converts Celery's keywords to options of a call. The reverse of `wireOptions`. */
function callOptions(wire: SignatureOptions, kwargs: Signature['kwargs']): ApplyOptions {
  const { task_id, queue, priority, countdown, eta, expires, time_limit, soft_time_limit, ignore_result, shadow, headers } = wire
  return defined({
    ...{ taskId: task_id, queue, priority, countdown, timeLimit: time_limit, softTimeLimit: soft_time_limit },
    ...{ ignoreResult: ignore_result, shadow, headers },
    eta: eta === undefined ? undefined : new Date(parseCeleryTime(eta)),
    expires: typeof expires === 'string' ? new Date(parseCeleryTime(expires)) : expires,
    kwargs: Object.keys(kwargs).length === 0 ? undefined : kwargs,
  })
}

const defined = (options: Readonly<Record<string, unknown>>): Record<string, unknown> =>
  Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined))
