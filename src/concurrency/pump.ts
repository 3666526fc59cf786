import { type Backoff, pauseMs } from './retry.ts'
import { sleep } from './sleep.ts'

/**
 * Does work in turns, one at a time. Work that arrives during a turn is done by the next turn, so a busy pump forms batches by
 * itself.
 */
export interface Pump {
  /**
   * Starts a turn after the current turn of the event loop, so that work that arrives together is done together. Does nothing if
   * a turn is under way, if there is no work, or after `stop`.
   */
  wake(): void
  /** Starts the first turn within this call; otherwise as `wake`. */
  wakeNow(): void
  /** Resolves when there is no work left. Rejects if a turn rejects and the pump has no `onFailure`. */
  idle(): Promise<void>
  /** Starts no further turn, and ends the pause after a failed turn. Resolves when the turn under way has ended. */
  stop(): Promise<void>
  /** True while a turn, or the pause after a failed turn, is under way. */
  readonly running: boolean
}

export interface PumpOptions {
  /** Returns true if there is work for a turn. Called before each turn, so it must be cheap. */
  readonly hasWork: () => boolean
  readonly turn: () => Promise<unknown>
  /**
   * Called when a turn rejects; the next turn follows after a pause. `failures`: number of turns that failed in a row before
   * this turn.
   */
  readonly onFailure?: (error: unknown, failures: number) => void
  /** The pauses after failed turns. Default: 100 ms to 5 s. */
  readonly backoff?: Backoff
  /** Called when a turn succeeds after failed turns. */
  readonly onRecovered?: () => void
}

const BACKOFF: Backoff = { firstMs: 100, maxMs: 5000 }

export function createPump({ hasWork, turn, onFailure, backoff = BACKOFF, onRecovered }: PumpOptions): Pump {
  const stopping = new AbortController()
  let running = false
  let ended: Promise<void> = Promise.resolve()

  const turns = async (): Promise<void> => {
    let failures = 0
    try {
      while (!stopping.signal.aborted && hasWork()) {
        try {
          await turn()
          if (failures > 0) onRecovered?.()
          failures = 0
        } catch (error) {
          if (onFailure === undefined) throw error
          onFailure(error, failures)
          await sleep(pauseMs(failures++, backoff), stopping.signal)
        }
      }
    } finally {
      // Set in the same synchronous step as the last call of `hasWork`: a call of `wake` in between would have no effect.
      running = false
    }
  }

  const isReady = () => !running && !stopping.signal.aborted && hasWork()

  return {
    wake() {
      if (!isReady()) return
      running = true
      ended = new Promise<void>((resolve) => setImmediate(resolve)).then(turns)
    },
    wakeNow() {
      if (!isReady()) return
      running = true
      ended = turns()
    },
    async idle() {
      while (running) await ended
    },
    async stop() {
      stopping.abort()
      await ended
    },
    get running() {
      return running
    },
  }
}
