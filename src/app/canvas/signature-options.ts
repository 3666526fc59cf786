import { AppError } from '../../errors.ts'
import type { Signature, SignatureOptions } from '../../message/signature.ts'

export const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** `link` and `link_error` are one signature or several. */
export function listOf(links: SignatureOptions['link']): readonly Signature[] {
  if (links == null) return []
  return Array.isArray(links) ? links : [links as Signature]
}

/** Options given by the caller are stronger than the signature's, but for the group that it is a member of (Celery's `_merge`, §4.1). */
export function merged(own: SignatureOptions, given: SignatureOptions): SignatureOptions {
  const kept = own.group_id == null ? {} : { group_id: own.group_id }
  return { ...own, ...given, ...kept, ...stamps(own, given) }
}

/** Stamps of both stay. */
function stamps(own: SignatureOptions, given: SignatureOptions): SignatureOptions {
  if (own.stamped_headers == null || given.stamped_headers == null) return {}
  return { stamped_headers: [...new Set([...own.stamped_headers, ...given.stamped_headers])] }
}

/** Types of what the engine itself relies on; the rest is looked at where a message is made. @throws AppError SIGNATURE_INVALID */
export function checkOptions(task: string, options: SignatureOptions): SignatureOptions {
  for (const name of ['task_id', 'group_id'] as const) {
    const id = options[name]
    if (id == null || (typeof id === 'string' && id.length >= 1 && id.length <= 255 && !id.includes('\0'))) continue
    throw new AppError('SIGNATURE_INVALID', `${task}: options.${name} is not a text of 1 to 255 characters`)
  }
  for (const name of ['link', 'link_error'] as const) {
    if (listOf(options[name]).every(isRecord)) continue
    throw new AppError('SIGNATURE_INVALID', `${task}: options.${name} holds what is not a signature`)
  }
  if (options.chord != null && !isRecord(options.chord))
    throw new AppError('SIGNATURE_INVALID', `${task}: options.chord is not a signature`)
  if (!('task_id' in options) || options.task_id != null) return options
  return Object.fromEntries(Object.entries(options).filter(([name]) => name !== 'task_id'))
}

export function invalid(problem: string): never {
  throw new AppError('SIGNATURE_INVALID', `the signature is not one: ${problem}`)
}
