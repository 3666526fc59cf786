import { getHeapStatistics, setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

/** Milliseconds. After this time a role has started, answered its first page and run the tasks that were waiting. */
const AFTER_MS = 3000
/**
 * Event loop utilisation, from 0 to 1, in a span of time. Above this share the process is busy, and the collection is delayed.
 */
const BUSY = 0.3
/** Bytes. In a larger heap a collection takes too long, and garbage of the start is only a small part of it. */
const LARGE_HEAP = 64 * 2 ** 20

type Collect = (how: { type: 'major'; execution: 'sync'; flavor: 'last-resort' }) => void

/**
 * Frees the memory that the start no longer needs: 3 to 6 MB of garbage and of compiled code that runs only once. V8 frees it
 * only when it needs memory, which never happens in an idle dyno. So this function requests one collection in the first quiet
 * span; the collection takes 10 to 50 ms.
 */
export function returnMemoryOfStart(afterMs = AFTER_MS): void {
  let before = performance.eventLoopUtilization()
  const timer = setInterval(() => {
    const now = performance.eventLoopUtilization()
    const { utilization } = performance.eventLoopUtilization(now, before)
    before = now
    if (utilization > BUSY) return
    clearInterval(timer)
    if (getHeapStatistics().used_heap_size < LARGE_HEAP) collect()
  }, afterMs).unref()
}

/**
 * Runs V8's last-resort collection, which also frees compiled code; an ordinary collection does not. Does nothing if Node does
 * not offer it.
 */
function collect(): void {
  setFlagsFromString('--expose-gc')
  const gc = runInNewContext('globalThis.gc') as Collect | undefined
  setFlagsFromString('--no-expose-gc')
  gc?.({ type: 'major', execution: 'sync', flavor: 'last-resort' })
}
