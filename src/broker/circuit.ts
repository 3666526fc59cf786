/** While the circuit is open, one call tries the broker after this many milliseconds. */
const PROBE_EVERY_MS = 5000
/** That call waits no longer than this. Milliseconds. */
const PROBE_MS = 500

/**
 * Decides how long a call waits for a broker. While the circuit is closed, a call waits for its timeout. A call without an answer opens the
 * circuit: then calls use the outbox at once, and one call every few seconds tries the broker shortly. Any answer closes the circuit.
 */
export interface Circuit {
  readonly isOpen: boolean
  /** Milliseconds that this call may wait; 0: not at all. A call that receives more than 0 must try the broker. */
  waitMs(): number
  /** A call got no answer. `since`: its beginning, by performance.now(). If the broker answered another call after that, the circuit stays closed. */
  unanswered(since: number): void
  /** The broker answered a call: it may have refused the call, or answered after the timeout. */
  heard(): void
  /** The connection is back: the next call tries the broker. */
  tryAgain(): void
}

export interface CircuitOptions {
  readonly timeoutMs: number
  readonly onOpen?: () => void
  readonly onClose?: () => void
  readonly now?: () => number
}

export function createCircuit({ timeoutMs, onOpen, onClose, now = () => performance.now() }: CircuitOptions): Circuit {
  let isOpen = false
  let heardAt = Number.NEGATIVE_INFINITY
  let probeAt = 0

  return {
    get isOpen() {
      return isOpen
    },
    waitMs() {
      if (!isOpen) return timeoutMs
      if (now() < probeAt) return 0
      probeAt = now() + PROBE_EVERY_MS
      return Math.min(PROBE_MS, timeoutMs)
    },
    unanswered(since) {
      if (isOpen || heardAt >= since) return
      isOpen = true
      probeAt = now() + PROBE_EVERY_MS
      onOpen?.()
    },
    heard() {
      heardAt = now()
      if (!isOpen) return
      isOpen = false
      onClose?.()
    },
    tryAgain() {
      probeAt = 0
    },
  }
}
