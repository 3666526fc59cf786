/** One INSERT has no more rows: more would only make one slow statement out of several fast ones. */
const MAX_BATCH = 1000

interface Waiting<T> {
  readonly item: T
  readonly resolve: () => void
  readonly reject: (error: unknown) => void
}

/**
 * Group commit without a timer: what is handed in while a write is under way goes out with the next one. Alone it waits for nothing; a
 * hundred at once cost two commits. Each caller learns whether the write with its item succeeded. `isSeparable`: was nothing written, and
 * may the items be tried one by one?
 */
export function createGroupCommit<T>(
  write: (items: readonly T[]) => Promise<unknown>,
  isSeparable: (error: unknown) => boolean = () => false,
) {
  let waiting: Waiting<T>[] = []
  let writing: Promise<void> | undefined

  const drain = async () => {
    while (waiting.length > 0) {
      const batch = waiting.slice(0, MAX_BATCH)
      waiting = waiting.slice(MAX_BATCH)
      try {
        await write(batch.map(({ item }) => item))
        for (const { resolve } of batch) resolve()
      } catch (error) {
        if (batch.length > 1 && isSeparable(error)) await alone(batch)
        else for (const { reject } of batch) reject(error)
      }
    }
    writing = undefined
  }

  /** One item that is refused must not cost its neighbours, who have nothing to do with it. */
  const alone = async (batch: readonly Waiting<T>[]) => {
    for (const { item, resolve, reject } of batch) await write([item]).then(() => resolve(), reject)
  }

  return {
    add(item: T): Promise<void> {
      const written = new Promise<void>((resolve, reject) => waiting.push({ item, resolve, reject }))
      writing ??= drain()
      return written
    },
    /** Resolves when nothing is under way. */
    async idle(): Promise<void> {
      await writing
    },
  }
}
