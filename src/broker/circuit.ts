/** While the circuit is open, one call per interval probes the broker. Milliseconds. */
const PROBE_EVERY_MS = 5000
/** Longest wait of a call that probes the broker while the circuit is open. Milliseconds. */
const PROBE_MS = 500

/**
 * Decides how long a call waits for a broker. While the circuit is closed, a call waits for its timeout. A call without an
 * answer opens the circuit. While the circuit is open, calls use the outbox at once, and one call every few seconds probes the
 * broker for a short time. Any answer closes the circuit.
 */
export interface Circuit {
  readonly isOpen: boolean
  /**
   * Returns the milliseconds that this call may wait for the broker. 0: do not try the broker. A call that receives more than 0
   * must try it.
   */
  waitMs(): number
  /**
   * Reports a call without an answer. `since`: when the call began, by performance.now(). If the broker has answered another
   * call since then, the circuit stays closed.
   */
  unanswered(since: number): void
  /** Reports an answer of the broker. A refusal counts as an answer, and so does an answer after the timeout. */
  heard(): void
  /** Reports that the connection is back: the next call tries the broker. */
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
