import { parseCeleryTime } from '../../message/message.ts'
import type { Signature } from '../../message/signature.ts'
import type { ApplyOptions } from '../apply-options.ts'
import { refuse } from '../check-options.ts'
import type { AnySignature } from './signature.ts'

/** What a signature of one task comes to as a call. */
export interface SignatureCall {
  readonly task: string
  readonly args: readonly unknown[]
  readonly options: ApplyOptions
}

export const isSignature = (item: unknown): item is AnySignature =>
  typeof (item as AnySignature | undefined)?.toJSON === 'function'

/** Links, and groups that it would be a member of: they make it a part of a workflow. */
const OF_WORKFLOWS = ['link', 'link_error', 'chord', 'group_id'] as const

/** @throws AppError TASK_OPTION_INVALID for what is more than one task */
export function callOf(signature: AnySignature): SignatureCall {
  const { task, args, kwargs, options, subtask_type } = signature.toJSON()
  if (subtask_type !== null || OF_WORKFLOWS.some((name) => hasSome(options[name])))
    refuse(`${task} is a part of a workflow, which is sent with its own delay()`)
  return { task, args, options: applyOptions(options, kwargs) }
}

const hasSome = (value: unknown) => value != null && !(Array.isArray(value) && value.length === 0)

/** Celery's keywords, by their names here. */
function applyOptions(wire: Signature['options'], kwargs: Signature['kwargs']): ApplyOptions {
  const { task_id, queue, priority, countdown, eta, expires, time_limit, soft_time_limit, ignore_result, shadow, headers } = wire
  const given = {
    ...{ taskId: task_id, queue, priority, countdown, timeLimit: time_limit, softTimeLimit: soft_time_limit },
    ...{ ignoreResult: ignore_result, shadow, headers },
    eta: eta === undefined ? undefined : new Date(parseCeleryTime(eta)),
    expires: typeof expires === 'string' ? new Date(parseCeleryTime(expires)) : expires,
    kwargs: Object.keys(kwargs).length === 0 ? undefined : kwargs,
  }
  return Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined))
}
