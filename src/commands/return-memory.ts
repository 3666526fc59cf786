import { getHeapStatistics, setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

/** By this time a role has started, answered its first page and run the tasks that were waiting. Milliseconds. */
const AFTER_MS = 3000
/** Event loop utilisation of a span. Above this share the process is busy, and the collection waits. */
const BUSY = 0.3
/** Bytes. A collection of a larger heap takes too long, and garbage of the start is only a small part of it. */
const LARGE_HEAP = 64 * 2 ** 20

type Collect = (how: { type: 'major'; execution: 'sync'; flavor: 'last-resort' }) => void

/**
 * A start leaves 3 to 6 MB of garbage and of compiled code that runs only once. V8 frees it when it needs memory, which in an idle dyno is
 * never. So one collection is requested in the first quiet span; it takes 10 to 50 ms.
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

/** V8's last-resort collection, which also frees compiled code; an ordinary one does not. Does nothing if Node does not offer it. */
function collect(): void {
  setFlagsFromString('--expose-gc')
  const gc = runInNewContext('globalThis.gc') as Collect | undefined
  setFlagsFromString('--no-expose-gc')
  gc?.({ type: 'major', execution: 'sync', flavor: 'last-resort' })
}
