/** While the broker is away, it is tried again so often, by one call. Milliseconds. */
const PROBE_EVERY_MS = 5000
/** That call waits no longer. Milliseconds. */
const PROBE_MS = 500

/**
 * Whether it is worth to wait for a broker. Closed: a call waits for its time. Once a call has waited for nothing the circuit is open, and calls go
 * elsewhere at once; now and then one of them tries the broker shortly. The first sign of life closes it.
 */
export interface Circuit {
  readonly isOpen: boolean
  /** Milliseconds that a call may wait now; 0: not at all. One that is told more than 0 has to try. */
  waitMs(): number
  /** A call has waited in vain. `since`: its beginning, by performance.now(); where something was heard after that, the fault is not the broker's. */
  unanswered(since: number): void
  /** The broker has answered a call, even if only to refuse it, or later than anybody waited. */
  heard(): void
  /** There is a connection again: the next call tries. */
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
