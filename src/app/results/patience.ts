import type { WaitOptions } from './group-result.ts'

/** The longest that a timer of Node waits, 24 days. */
const LONGEST_MS = 2 ** 31 - 1

/** For as long as somebody waits: `signal` aborts with the caller's, or after `timeoutMs`. */
export interface Patience extends Disposable {
  readonly signal: AbortSignal
}

/**
 * Instead of AbortSignal.timeout: its timer runs to the end, and until then keeps what AbortSignal.any made of it (Node 24.21), so that each
 * answer that came in time would be held for an hour by a patience of an hour.
 */
export function patienceOf({ timeoutMs, signal }: WaitOptions): Patience {
  const late = new AbortController()
  const timer = timeoutMs === undefined ? undefined : setTimeout(() => late.abort(), Math.min(timeoutMs, LONGEST_MS)).unref()
  return {
    signal: signal === undefined ? late.signal : AbortSignal.any([signal, late.signal]),
    [Symbol.dispose]: () => clearTimeout(timer),
  }
}
