/**
 * Items that wait to be written. They stay in the queue until the write of their batch has succeeded, so a failed write can be
 * repeated.
 */
export interface BatchQueue<T> {
  readonly size: number
  /** All items. The array changes when items are added, so a batch that is being written must be a copy (`first`). */
  readonly items: readonly T[]
  add(item: T): void
  /** Returns a copy of the first items, at most `limit`. */
  first(limit?: number): readonly T[]
  /** Removes a batch that `first` returned, or a shorter one. */
  written(batch: readonly T[]): void
}

export function createBatchQueue<T>(): BatchQueue<T> {
  let items: T[] = []
  return {
    get size() {
      return items.length
    },
    get items() {
      return items
    },
    add: (item) => void items.push(item),
    first: (limit) => items.slice(0, limit),
    written(batch) {
      items = items.slice(batch.length)
    },
  }
}
