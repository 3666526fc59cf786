import type { Outcome } from '../../app/outcome.ts'
import type { Log } from '../../log.ts'
import type { Message } from '../../message/message.ts'

/**
 * Characters of results and arguments, over all consumers of a process, that may wait for the database: a dyno has 512 MB, what follows from a
 * result may hold it again, and so does the statement that stores it. Each task that runs by then may add its own.
 */
const MAX_UNSTORED_LENGTH = 32 * 1024 * 1024
/** Outcomes of one statement: bounds its size, and the damage of one that cannot be stored. */
const MAX_BATCH = 2000
/** Characters of the values in one statement, but for a single larger one: PostgreSQL takes a message of 1 GB, V8 a string of half of it. */
const MAX_BATCH_LENGTH = 8_000_000

/** What is finished, as far as it takes room in memory. */
export interface Kept {
  readonly outcome: Outcome | null
  /** Kept until it is acknowledged. */
  readonly message?: Message | undefined
}

/** What a process has finished and the database has not taken yet: while it is too much, no more tasks are to begin. */
export interface Unstored {
  readonly isFull: boolean
  /** HOT: once per outcome. */
  added(kept: Kept): void
  /** The same ones as were added. */
  stored(batch: readonly Kept[]): void
  /** @param room called whenever it is full no more @returns stops that */
  onRoom(room: () => void): () => void
}

export function createUnstored(log: Log, maxLength = MAX_UNSTORED_LENGTH): Unstored {
  const listeners = new Set<() => void>()
  let length = 0
  let isFull = false

  return {
    get isFull() {
      return isFull
    },
    added(kept) {
      length += valueLength(kept) + (kept.message?.body.length ?? 0)
      if (length <= maxLength || isFull) return
      isFull = true
      log.warn({ length, maxLength }, 'results wait for the database, no more tasks are started until it takes them')
    },
    stored(batch) {
      for (const kept of batch) length -= valueLength(kept) + (kept.message?.body.length ?? 0)
      // Not at the border itself: a busy worker would say it with every statement.
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

/** As many of the first ones as fit into one statement. */
export function nextBatch<T extends Kept>(waiting: readonly T[]): readonly T[] {
  let length = 0
  const end = waiting.findIndex((kept, index) => {
    length += valueLength(kept)
    return index > 0 && (index >= MAX_BATCH || length > MAX_BATCH_LENGTH)
  })
  return waiting.slice(0, end === -1 ? undefined : end)
}

const valueLength = ({ outcome }: Kept): number => (outcome?.result?.length ?? 0) + (outcome?.traceback?.length ?? 0)
