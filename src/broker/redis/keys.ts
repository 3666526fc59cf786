/** kombu's separator between the parts of a key. */
const SEPARATOR = '\x06\x16'

/** kombu's priority steps, in the order in which they are served (docs/internals/wire-protocol.md). */
const STEPS = [0, 3, 6, 9] as const

export const STEPS_PER_QUEUE = STEPS.length

/**
 * Converts a priority of onedyno to Celery's priority on Redis. On Redis, Celery serves priority 0 first, but with onedyno a
 * higher priority runs first on every broker, so priority p is sent as 9 - p. Priorities above 9 count as 9.
 */
export const toWirePriority = (priority: number): number => 9 - Math.min(9, Math.max(0, priority))
export const fromWirePriority = (wire: number): number => 9 - Math.min(9, Math.max(0, wire))

/** Returns the list of a queue for a priority on the wire: the list of the greatest step that is not above the priority. */
export const listOf = (prefix: string, queue: string, wire: number): string => {
  const step = STEPS.findLast((each) => each <= wire) ?? 0
  return listOfStep(prefix, queue, step)
}

const listOfStep = (prefix: string, queue: string, step: number) =>
  step === 0 ? `${prefix}${queue}` : `${prefix}${queue}${SEPARATOR}${step}`

/** Returns all lists of a queue. */
export const listsOf = (prefix: string, queue: string): string[] => STEPS.map((step) => listOfStep(prefix, queue, step))

/** Returns all lists of several queues in the order in which they are served: step by step, and within a step queue by queue. */
export function listsInOrder(prefix: string, queues: readonly string[]): { list: string; queue: string }[] {
  return STEPS.flatMap((step) => queues.map((queue) => ({ list: listOfStep(prefix, queue, step), queue })))
}

/** Returns the key of a set and the member in it by which kombu's producers and monitors find a queue. */
export const bindingOf = (prefix: string, queue: string): [key: string, member: string] => [
  `${prefix}_kombu.binding.${queue}`,
  [queue, '', queue].join(SEPARATOR),
]

/** kombu's keys, and further keys that only onedyno uses. */
export interface RedisKeys {
  readonly unacked: string
  readonly index: string
  /** Hash of delivery tag → number of workers that died while they held the message. */
  readonly deaths: string
  /** Sorted set of workers by the end of their lease. */
  readonly workers: string
  /** Exists while a worker sleeps that must be woken by a message on `wakeChannel`. */
  readonly sleepers: string
  /** Hash of the messages that one worker holds: delivery tag → order and list. */
  held(worker: string): string
  /** Set of the delivery tags of messages that one worker began after another worker had died with them. */
  begun(worker: string): string
  /** List of the entries without a delivery tag that one worker took. */
  broken(worker: string): string
  /** The number of the last batch of one publisher. */
  publisher(id: string): string
  /**
   * The channel that wakes workers. Its name contains the number of the database, because channels belong to the whole server.
   */
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
