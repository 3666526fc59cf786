import type { WaitOptions } from './handles.ts'

/** The longest delay of a timer in Node.js, 24 days. */
const LONGEST_MS = 2 ** 31 - 1

/** `signal` aborts with the caller's signal or after `timeoutMs`, whichever is first. Disposing stops the timer. */
export interface WaitSignal extends Disposable {
  readonly signal: AbortSignal
}

/**
 * Used instead of AbortSignal.timeout, whose timer cannot be stopped. Until its timer fires, it keeps every signal that
 * AbortSignal.any derived from it in memory (Node.js 24.21), so that after an early answer a timeout of one hour would hold
 * memory for the rest of the hour.
 */
export function createWaitSignal({ timeoutMs, signal }: WaitOptions): WaitSignal {
  const late = new AbortController()
  const timer = timeoutMs === undefined ? undefined : setTimeout(() => late.abort(), Math.min(timeoutMs, LONGEST_MS)).unref()
  return {
    signal: signal === undefined ? late.signal : AbortSignal.any([signal, late.signal]),
    [Symbol.dispose]: () => clearTimeout(timer),
  }
}
