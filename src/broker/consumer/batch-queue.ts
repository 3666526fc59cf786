/** Items that wait to be written. They stay until the write of their batch succeeded, so that a failed write is repeated with them. */
export interface BatchQueue<T> {
  readonly size: number
  /** All items. Grows when items are added; a batch that is written has to be a copy (`first`). */
  readonly items: readonly T[]
  add(item: T): void
  /** A copy of the first items, at most `limit`. */
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
