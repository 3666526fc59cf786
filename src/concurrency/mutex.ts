/** Runs asynchronous functions one after the other, in the order of the calls. */
export interface Mutex {
  /** Runs `work` when every earlier function has ended, even if it failed. Settles as `work` does. */
  run<T>(work: () => T | Promise<T>): Promise<T>
  /** Resolves when every function that was passed so far has ended. Never rejects. */
  idle(): Promise<void>
}

export function createMutex(): Mutex {
  let last: Promise<unknown> = Promise.resolve()
  return {
    run<T>(work: () => T | Promise<T>): Promise<T> {
      const result = last.then(work)
      last = result.catch(ignore)
      return result
    },
    async idle() {
      await last
    },
  }
}

const ignore = () => {}
