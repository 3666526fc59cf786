import { DEFAULT_QUEUE, type Message } from '../message/message.ts'

/** A signature in JSON (reference/celery-protocol.md §4.1). */
export interface CelerySignature {
  readonly task: string
  readonly args: readonly unknown[]
  readonly kwargs: Readonly<Record<string, unknown>>
  readonly options: Readonly<Record<string, unknown>>
  readonly subtask_type?: string | null
  readonly immutable?: boolean
}

/** Nothing, one signature or several, as Celery writes callbacks. What is none is left out. */
export function signaturesOf(value: unknown): CelerySignature[] {
  const all = Array.isArray(value) ? value : [value]
  return all
    .filter((each) => typeof each?.task === 'string')
    .map((each) => ({ ...each, args: each.args ?? [], kwargs: each.kwargs ?? {}, options: each.options ?? {} }))
}

/**
 * The message of a signature: a task, or a chain, of which the first task is sent and the rest travels with it.
 * @param partial arguments before its own, as JSON texts
 * @param from the message of the task that sends it
 * @throws TypeError for a group or a chord, which are more than one message
 */
export function messageOfSignature(signature: CelerySignature, partial: readonly string[], from: Message): Message {
  if (signature.subtask_type === 'chain') {
    const [first, ...rest] = signaturesOf(signature.kwargs.tasks)
    if (first === undefined) throw new TypeError('a chain without tasks cannot be sent')
    return messageOf(first, { partial, from, chain: rest.reverse() })
  }
  return messageOf(signature, { partial, from, chain: null })
}

interface Around {
  readonly partial: readonly string[]
  readonly from: Message
  readonly chain: readonly CelerySignature[] | null
}

function messageOf(signature: CelerySignature, { partial, from, chain }: Around): Message {
  const { task, options, kwargs, immutable = false, subtask_type } = signature
  if (subtask_type != null) throw new TypeError(`a ${subtask_type} cannot be sent as one message`)
  if (typeof options.task_id !== 'string') throw new TypeError(`the signature of ${task} has no task_id`)
  const args = [...(immutable ? [] : partial), ...signature.args.map((each) => JSON.stringify(each))]
  const { link = null, link_error = null, chord = null, reply_to, queue, routing_key, priority } = options
  const embed = { callbacks: listOf(link), errbacks: listOf(link_error), chain, chord }
  return {
    headers: {
      ...(options.headers as Record<string, unknown> | undefined),
      id: options.task_id,
      task,
      root_id: from.headers.root_id ?? from.headers.id,
      parent_id: from.headers.id,
      ...times(options),
      ...(options.group_id == null ? {} : { group: String(options.group_id) }),
      ...(typeof options.group_index === 'number' ? { group_index: options.group_index } : {}),
    },
    properties: typeof reply_to === 'string' && reply_to !== '' ? { reply_to } : {},
    body: `[[${args.join(', ')}], ${JSON.stringify(kwargs)}, ${JSON.stringify(embed)}]`,
    // Where Celery's own worker would send it, unless it has routes of its own.
    queue: textOf(queue) ?? textOf(routing_key) ?? DEFAULT_QUEUE,
    priority: typeof priority === 'number' ? priority : from.priority,
  }
}

function times(options: CelerySignature['options'], now = Date.now()): Record<string, unknown> {
  const { countdown, eta, expires, time_limit = null, soft_time_limit = null } = options
  const after = (seconds: number) => new Date(now + seconds * 1000).toISOString()
  return {
    ...(typeof eta === 'string' ? { eta } : typeof countdown === 'number' ? { eta: after(countdown) } : {}),
    ...(typeof expires === 'string' ? { expires } : typeof expires === 'number' ? { expires: after(expires) } : {}),
    ...(time_limit === null && soft_time_limit === null ? {} : { timelimit: [time_limit, soft_time_limit] }),
  }
}

const listOf = (value: unknown) => (value === null || Array.isArray(value) ? value : [value])

const textOf = (value: unknown) => (typeof value === 'string' && value !== '' ? value : undefined)
