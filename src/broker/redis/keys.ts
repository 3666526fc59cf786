/** kombu's separator between the parts of a key. */
const SEPARATOR = '\x06\x16'

/** kombu's priority steps, in the order in which they are served (docs/internals/wire-protocol.md). */
const STEPS = [0, 3, 6, 9] as const

export const STEPS_PER_QUEUE = STEPS.length

/**
 * On Redis Celery serves priority 0 first. A message with our priority p is sent with 9 - p, so that higher priorities run first here as on
 * every broker, and lower ones for Celery's clients. Priorities above 9 count as 9.
 */
export const toWirePriority = (priority: number): number => 9 - Math.min(9, Math.max(0, priority))
export const fromWirePriority = (wire: number): number => 9 - Math.min(9, Math.max(0, wire))

/** The list of a queue for a priority on the wire: that of the greatest step not above it. */
export const listOf = (prefix: string, queue: string, wire: number): string => {
  const step = STEPS.findLast((each) => each <= wire) ?? 0
  return listOfStep(prefix, queue, step)
}

const listOfStep = (prefix: string, queue: string, step: number) =>
  step === 0 ? `${prefix}${queue}` : `${prefix}${queue}${SEPARATOR}${step}`

/** All lists of a queue. */
export const listsOf = (prefix: string, queue: string): string[] => STEPS.map((step) => listOfStep(prefix, queue, step))

/** All lists of several queues in the order in which they are served: step by step, and within a step queue by queue. */
export function listsInOrder(prefix: string, queues: readonly string[]): { list: string; queue: string }[] {
  return STEPS.flatMap((step) => queues.map((queue) => ({ list: listOfStep(prefix, queue, step), queue })))
}

/** The set member by which kombu's producers and monitors find a queue. */
export const bindingOf = (prefix: string, queue: string): [key: string, member: string] => [
  `${prefix}_kombu.binding.${queue}`,
  [queue, '', queue].join(SEPARATOR),
]

/** kombu's keys, and keys of ours that kombu does not use. */
export interface RedisKeys {
  readonly unacked: string
  readonly index: string
  /** Hash of delivery tag → number of workers that died with the message. */
  readonly deaths: string
  /** Sorted set of workers by the end of their lease. */
  readonly workers: string
  /** Exists while a worker sleeps that must be woken by `wakeChannel`. */
  readonly sleepers: string
  /** Messages that one worker holds: hash of delivery tag → order and list. */
  held(worker: string): string
  /** Set of delivery tags that one worker began after a death. */
  begun(worker: string): string
  /** Entries that one worker took and that have no delivery tag. */
  broken(worker: string): string
  /** The number of the last batch of one publisher. */
  publisher(id: string): string
  /** Contains the number of the database, because channels belong to the whole server. */
  readonly wakeChannel: string
}

export function redisKeys(prefix: string, database: number): RedisKeys {
  return {
    unacked: `${prefix}unacked`,
    index: `${prefix}unacked_index`,
    deaths: `${prefix}onedyno.deaths`,
    workers: `${prefix}onedyno.workers`,
    sleepers: `${prefix}onedyno.sleepers`,
    held: (worker) => `${prefix}onedyno.held.${worker}`,
    begun: (worker) => `${prefix}onedyno.begun.${worker}`,
    broken: (worker) => `${prefix}onedyno.broken.${worker}`,
    publisher: (id) => `${prefix}onedyno.publisher.${id}`,
    wakeChannel: `${prefix}/${database}.onedyno.wake`,
  }
}
