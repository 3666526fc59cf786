/** Work in the background that a flush waits for. */
export interface Background {
  readonly size: number
  run(work: Promise<void>): void
  /** Resolves when all work that runs at the time of the call has ended. */
  idle(): Promise<void>
}

/** @param onFailure called when work rejects. Without it, work must not reject: the rejection would be unhandled */
export function createBackground(onFailure?: (error: unknown) => void): Background {
  const running = new Set<Promise<void>>()
  return {
    get size() {
      return running.size
    },
    run(work) {
      const tracked: Promise<void> = (onFailure === undefined ? work : work.catch(onFailure)).finally(() =>
        running.delete(tracked),
      )
      running.add(tracked)
    },
    async idle() {
      await Promise.all(running)
    },
  }
}
