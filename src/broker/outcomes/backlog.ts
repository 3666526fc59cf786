import type { Log } from '../../log.ts'
import type { Settlement } from './settlement.ts'

/**
 * Most characters of results and arguments that may wait for the database, over all consumers of a process. A dyno has 512 MB,
 * and one result may be in memory three times: in the outcome, in its effects and in the statement that stores it. Tasks that
 * already run still add their results above the limit.
 */
const MAX_BACKLOG_LENGTH = 32 * 1024 * 1024
/**
 * Most outcomes in one statement. Limits the size of the statement, and the number of outcomes that fail with one outcome that
 * the database refuses.
 */
const MAX_BATCH = 2000
/**
 * Most characters of the values in one statement; a single larger value goes alone. PostgreSQL accepts a message of 1 GB, and a
 * string of V8 has at most half of this length.
 */
const MAX_BATCH_LENGTH = 8_000_000

type Item = Pick<Settlement, 'outcome'> & Partial<Pick<Settlement, 'message'>>

/** Counts the outcomes of a process that are not yet stored. While there are too many, no more tasks begin. */
export interface OutcomeBacklog {
  readonly isFull: boolean
  /** HOT: once per outcome. */
  added(item: Item): void
  /** Reports stored items. Each item must have been added before. */
  stored(batch: readonly Item[]): void
  /** @param room called whenever the backlog is not full any more @returns a function that unsubscribes */
  onRoom(room: () => void): () => void
}

export function createOutcomeBacklog(log: Log, maxLength = MAX_BACKLOG_LENGTH): OutcomeBacklog {
  const listeners = new Set<() => void>()
  let length = 0
  let isFull = false

  return {
    get isFull() {
      return isFull
    },
    added(item) {
      length += valueLength(item) + (item.message?.body.length ?? 0)
      if (length <= maxLength || isFull) return
      isFull = true
      log.warn({ length, maxLength }, 'results wait for the database, no more tasks are started until it takes them')
    },
    stored(batch) {
      for (const item of batch) length -= valueLength(item) + (item.message?.body.length ?? 0)
      // The backlog stays full until half of the limit: otherwise a busy worker near the limit would log a change with every
      // statement.
      if (!isFull || length > maxLength / 2) return
      isFull = false
      log.info({ length }, 'the database takes results again, tasks are started again')
      for (const room of listeners) room()
    },
    onRoom(room) {
      listeners.add(room)
      return () => listeners.delete(room)
    },
  }
}

/** Returns as many of the first items as fit into one statement. */
export function nextBatch<T extends Item>(waiting: readonly T[]): readonly T[] {
  let length = 0
  const end = waiting.findIndex((item, index) => {
    length += valueLength(item)
    return index > 0 && (index >= MAX_BATCH || length > MAX_BATCH_LENGTH)
  })
  return waiting.slice(0, end === -1 ? undefined : end)
}

const valueLength = ({ outcome }: Item): number => (outcome?.result?.length ?? 0) + (outcome?.traceback?.length ?? 0)
