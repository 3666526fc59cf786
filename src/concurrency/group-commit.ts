import { createPump } from './pump.ts'

/** Maximum number of rows in one write. A larger batch would make one slow statement instead of several fast ones. */
const MAX_BATCH = 1000

interface Waiting<T> {
  readonly item: T
  readonly resolve: () => void
  readonly reject: (error: unknown) => void
}

/**
 * Writes items in batches without a timer (group commit): items that are added while a write is under way are written together
 * by the next write. A single item does not wait; a hundred items at once cost two writes. Each caller learns whether the write
 * with its item succeeded. `isSeparable`: returns true if a failed write had no effect, so that its items may be written one by
 * one.
 */
export function createGroupCommit<T>(
  write: (items: readonly T[]) => Promise<unknown>,
  isSeparable: (error: unknown) => boolean = () => false,
) {
  let waiting: Waiting<T>[] = []

  const writeNext = async () => {
    const batch = waiting.slice(0, MAX_BATCH)
    waiting = waiting.slice(MAX_BATCH)
    try {
      await write(batch.map(({ item }) => item))
      for (const { resolve } of batch) resolve()
    } catch (error) {
      if (batch.length > 1 && isSeparable(error)) await writeOneByOne(batch)
      else for (const { reject } of batch) reject(error)
    }
  }

  /** Writes the items one by one: if one item is refused, the other items of its batch must still be written. */
  const writeOneByOne = async (batch: readonly Waiting<T>[]) => {
    for (const { item, resolve, reject } of batch) await write([item]).then(() => resolve(), reject)
  }

  const pump = createPump({ hasWork: () => waiting.length > 0, turn: writeNext })

  return {
    add(item: T): Promise<void> {
      const written = new Promise<void>((resolve, reject) => waiting.push({ item, resolve, reject }))
      pump.wakeNow()
      return written
    },
    /** Resolves when no item waits and no write is under way. */
    idle: () => pump.idle(),
  }
}
