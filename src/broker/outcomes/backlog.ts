import type { Log } from '../../log.ts'
import type { Settlement } from './settlement.ts'

/**
 * Characters of results and arguments, over all consumers of a process, that may wait for the database. A dyno has 512 MB; the effects of a
 * result may contain it again, and so does the statement that stores it. Tasks that run at this moment may each add their own.
 */
const MAX_BACKLOG_LENGTH = 32 * 1024 * 1024
/** Outcomes of one statement: bounds its size, and the damage of an outcome that cannot be stored. */
const MAX_BATCH = 2000
/** Characters of the values in one statement, except for a single larger one: PostgreSQL takes a message of 1 GB, V8 a string of half of it. */
const MAX_BATCH_LENGTH = 8_000_000

type Item = Pick<Settlement, 'outcome'> & Partial<Pick<Settlement, 'message'>>

/** Outcomes of a process that are not yet stored. While there are too many, no more tasks begin. */
export interface OutcomeBacklog {
  readonly isFull: boolean
  /** HOT: once per outcome. */
  added(item: Item): void
  /** The same items as were added. */
  stored(batch: readonly Item[]): void
  /** @param room called whenever the backlog is not full any more @returns unsubscribes */
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
      // Half of the limit, because a busy worker at the limit itself would log with every statement.
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

/** As many of the first items as fit into one statement. */
export function nextBatch<T extends Item>(waiting: readonly T[]): readonly T[] {
  let length = 0
  const end = waiting.findIndex((item, index) => {
    length += valueLength(item)
    return index > 0 && (index >= MAX_BATCH || length > MAX_BATCH_LENGTH)
  })
  return waiting.slice(0, end === -1 ? undefined : end)
}

const valueLength = ({ outcome }: Item): number => (outcome?.result?.length ?? 0) + (outcome?.traceback?.length ?? 0)
