import { AppError } from '../../errors.ts'
import { createMessage, type Message, type MessageHeaders } from '../../message/message.ts'
import { PARKED } from '../../message/private-headers.ts'
import type { Embed, Signature, SignatureOptions } from '../../message/signature.ts'
import { traceHeaders } from '../calls/tracing.ts'
import { isRecord, listOf } from './signature-options.ts'

/** Returns the defaults that the app has for a task. They apply to options that the signature does not set. */
export type RouteOf = (task: string, args: readonly unknown[]) => TaskDefaults | undefined

export interface TaskDefaults {
  readonly queue?: string | undefined
  readonly priority?: number | undefined
  readonly ignoreResult?: boolean | undefined
  /** Seconds from the eta, or from the time of sending if there is no eta. */
  readonly expires?: number | undefined
}

/** Values that all messages of one plan share. */
export interface MessageContext {
  /** Milliseconds since the epoch. */
  readonly now: number
  readonly route?: RouteOf | undefined
  readonly parentId?: string | undefined
  readonly rootId?: string | undefined
  /** Headers that the tasks inherit from their parent task, such as `traceparent`. */
  readonly inherited?: Readonly<Record<string, unknown>> | undefined
}

/**
 * Makes the message of a frozen task.
 * @param next the steps that follow the task in its chain, in order.
 * @throws AppError SIGNATURE_INVALID
 */
export function messageOf(signature: Signature, next: readonly Signature[], context: MessageContext): Message {
  const { task, args, kwargs, options } = signature
  const defaults = context.route?.(routeNameOf(signature), args)
  return createMessage({
    id: options.task_id!,
    task,
    args,
    kwargs,
    queue: textOf(options.queue) ?? textOf(options.routing_key) ?? defaults?.queue,
    priority: priorityOf(options.priority) ?? defaults?.priority,
    headers: headersOf(signature, defaults, context),
    embed: embedOf(options, next),
    properties: textOf(options.reply_to) === undefined ? undefined : { reply_to: options.reply_to! },
  })
}

/**
 * Returns the task name that decides the route. For `celery.map` and the other mapping tasks it is the name of the task that
 * they call.
 */
export function routeNameOf({ task, kwargs }: Signature): string {
  if (task !== 'celery.map' && task !== 'celery.starmap' && task !== 'celery.chunks') return task
  return isRecord(kwargs?.task) && typeof kwargs.task.task === 'string' ? kwargs.task.task : task
}

function headersOf(
  { task, options }: Signature,
  defaults: TaskDefaults | undefined,
  context: MessageContext,
): Partial<MessageHeaders> {
  const { time_limit, soft_time_limit, group_id, group_index } = options
  const headers: Record<string, unknown> = {
    ...context.inherited,
    ...traceHeaders(task),
    ...(isRecord(options.headers) ? options.headers : undefined),
  }
  const set = (name: string, value: unknown) => {
    if (value != null) headers[name] = value
  }
  const eta = options.eta ?? momentOf(task, 'countdown', options.countdown, context.now)
  set('eta', eta)
  // The message waits in the outbox until its eta. This header stops a worker whose clock is behind from parking it again.
  set(PARKED, eta)
  set('expires', expiresOf(task, options, defaults, typeof eta === 'string' ? Date.parse(eta) : context.now))
  set('root_id', context.rootId ?? options.root_id)
  set('parent_id', context.parentId ?? options.parent_id)
  set('group', group_id)
  set('group_index', group_index)
  set('shadow', options.shadow)
  if (typeof time_limit === 'number' || typeof soft_time_limit === 'number')
    headers.timelimit = [time_limit ?? null, soft_time_limit ?? null]
  if (options.ignore_result ?? defaults?.ignoreResult) headers.ignore_result = true
  else if (options.ignore_result === false) headers.ignore_result = false
  stamp(headers, options)
  return headers
}

/**
 * Copies stamps. A signature has each stamp as an option with the stamp's name; a message has all stamps in the header `stamps`.
 */
function stamp(headers: Record<string, unknown>, options: SignatureOptions): void {
  const names = options.stamped_headers
  if (!Array.isArray(names) || names.length === 0) return
  headers.stamped_headers = names
  headers.stamps = Object.fromEntries(names.filter((name) => options[name] != null).map((name) => [name, options[name]]))
}

function expiresOf(task: string, { expires }: SignatureOptions, defaults: TaskDefaults | undefined, from: number): unknown {
  if (expires == null) return momentOf(task, 'expires', defaults?.expires, Number.isNaN(from) ? Date.now() : from)
  return typeof expires === 'number' ? momentOf(task, 'expires', expires, Number.isNaN(from) ? Date.now() : from) : expires
}

function momentOf(task: string, name: string, seconds: unknown, from: number): string | undefined {
  if (seconds == null || (name === 'countdown' && seconds === 0)) return undefined
  const at = new Date(from + Number(seconds) * 1000)
  if (typeof seconds !== 'number' || Number.isNaN(at.getTime()))
    throw new AppError(
      'SIGNATURE_INVALID',
      `${task}: options.${name} must be a number of seconds, not ${JSON.stringify(seconds)}`,
    )
  return at.toISOString()
}

/** Returns the embed without its empty parts, because every reader treats an absent part as null. */
function embedOf({ link, link_error, chord }: SignatureOptions, next: readonly Signature[]): Embed | undefined {
  const callbacks = listOf(link)
  const errbacks = listOf(link_error)
  if (callbacks.length === 0 && errbacks.length === 0 && next.length === 0 && chord == null) return undefined
  return {
    ...(callbacks.length === 0 ? {} : { callbacks }),
    ...(errbacks.length === 0 ? {} : { errbacks }),
    ...(next.length === 0 ? {} : { chain: next.toReversed() }),
    ...(chord == null ? {} : { chord }),
  }
}

const textOf = (value: unknown): string | undefined => (typeof value === 'string' && value !== '' ? value : undefined)

const priorityOf = (value: unknown): number | undefined =>
  Number.isInteger(value) && (value as number) >= 0 && (value as number) <= 255 ? (value as number) : undefined
