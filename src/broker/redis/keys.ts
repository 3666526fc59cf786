/** kombu's separator between the parts of a key. */
const SEPARATOR = '\x06\x16'

/** kombu's priority steps, first the one that is served first (reference/celery-protocol.md §2.1). */
const STEPS = [0, 3, 6, 9] as const

export const STEPS_PER_QUEUE = STEPS.length

/**
 * On Redis Celery counts the other way round: 0 is served first. A message of ours with priority p travels with 9 - p, so that "higher
 * first" holds here and "lower first" for Celery's clients; 9 and above are one.
 */
export const toWirePriority = (priority: number): number => 9 - Math.min(9, Math.max(0, priority))
export const fromWirePriority = (wire: number): number => 9 - Math.min(9, Math.max(0, wire))

/** The list of a queue for a priority on the wire: the greatest step that is not above it. */
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

/** What kombu's producers and monitors read to find a queue: `[key of the set, member]`. */
export const bindingOf = (prefix: string, queue: string): [key: string, member: string] => [
  `${prefix}_kombu.binding.${queue}`,
  [queue, '', queue].join(SEPARATOR),
]

/** kombu's own keys, and ours, which Python does not know. */
export interface RedisKeys {
  readonly unacked: string
  readonly index: string
  /** Hash: how many workers died with a message. */
  readonly deaths: string
  /** Sorted set: workers by the end of their lease. */
  readonly workers: string
  /** Key that says somebody sleeps who must be told by `wakeChannel`. */
  readonly sleepers: string
  /** Of one worker: hash of tag → order and list; set of tags that it began after a death; list of what nobody can read. */
  held(worker: string): string
  begun(worker: string): string
  broken(worker: string): string
  /** Of one publisher: the number of its last batch. */
  publisher(id: string): string
  /** Channels belong to the whole server, so they carry the number of the database. */
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
