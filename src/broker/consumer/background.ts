/** Promises that run in the background and that a flush waits for. */
export interface Background {
  readonly size: number
  run(work: Promise<void>): void
  /** Resolves when the work that runs now has ended. */
  idle(): Promise<void>
}

/** @param onFailure called when work rejects. Default: the rejection is left unhandled, for work that never rejects */
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
