import { isConnectionError, isReadOnly } from '../../concurrency/transient.ts'
import type { Log } from '../../log.ts'

/** Logs why outcomes cannot be stored, with one line for each reason instead of one for each attempt. */
export interface StoreFailures {
  /** @param finished the number of outcomes that wait to be stored */
  failed(err: Error, finished: number): void
  succeeded(): void
}

export function createStoreFailures(log: Log): StoreFailures {
  let logged = ''
  return {
    failed(err, finished) {
      if (logged === err.message) return
      logged = err.message
      const reason = err.message
      if (isConnectionError(err)) log.warn({ reason, finished }, 'database away, keeping outcomes until it is back')
      else if (isReadOnly(err)) log.warn({ reason, finished }, 'database is read-only, keeping outcomes until it accepts writes')
      else log.error({ err, finished }, 'database refuses, keeping outcomes and trying again')
    },
    succeeded() {
      logged = ''
    },
  }
}
