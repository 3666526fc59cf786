import type { Message } from '../../message/message.ts'

/** A task of a workflow that may run after the task of a message. */
export interface Follower {
  readonly id: string
  readonly task: string
  readonly queue: string | null
}

/**
 * Returns the tasks that a Python worker may send after this message: the rest of its chain, its callbacks, the body of its
 * chord. Most messages have no such tasks and are not parsed.
 */
export function followersOf(message: Message): Follower[] {
  const followers: Follower[] = []
  visit(embedOf(message), ({ task, options }) => {
    const { task_id, queue } = options
    if (typeof task_id === 'string') followers.push({ id: task_id, task, queue: typeof queue === 'string' ? queue : null })
  })
  return followers
}

/** Adds the reply address to the tasks that may follow a message. */
export function withFollowersAddressed(message: Message, replyTo: string): Message {
  const embed = embedOf(message)
  if (embed === undefined) return message
  const before = `${JSON.stringify(embed)}]`
  // Another encoder wrote the body. It stays unchanged, because it may contain numbers that Node.js cannot represent.
  if (!message.body.endsWith(before)) return message
  visit(embed, ({ options }) => {
    options.reply_to ??= replyTo
  })
  return { ...message, body: `${message.body.slice(0, -before.length)}${JSON.stringify(embed)}]` }
}

interface Found {
  readonly task: string
  readonly options: Record<string, unknown>
}

/** Visits every task of these signatures, including tasks inside chains, groups and chords. */
function visit(value: unknown, onTask: (found: Found) => void): void {
  if (Array.isArray(value)) {
    for (const each of value) visit(each, onTask)
    return
  }
  if (!isRecord(value)) return
  const { task, subtask_type, kwargs, options } = value
  if (typeof task !== 'string') {
    for (const part of [value.callbacks, value.errbacks, value.chain, value.chord]) visit(part, onTask)
    return
  }
  if (isRecord(options)) {
    if (subtask_type == null) onTask({ task, options })
    for (const part of [options.link, options.link_error, options.chain, options.chord]) visit(part, onTask)
  }
  if (subtask_type != null && isRecord(kwargs)) for (const part of [kwargs.tasks, kwargs.header, kwargs.body]) visit(part, onTask)
}

/** Returns the embed of a message. @returns undefined if no task follows */
function embedOf({ body }: Message): unknown {
  // If no task in the body has an id, there is nothing to expect.
  if (!body.includes('"task_id"')) return undefined
  try {
    const value = JSON.parse(body) as unknown
    return Array.isArray(value) ? value[2] : undefined
  } catch {
    return undefined
  }
}

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
