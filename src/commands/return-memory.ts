import { getHeapStatistics, setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

/** By now a role has begun, answered its first page and run what waited for it. Milliseconds. */
const AFTER_MS = 3000
/** Of a span, the share in which the event loop did something: above it, nobody is to wait for this. */
const BUSY = 0.3
/** Bytes of a heap that is not small any more: to look through it takes too long, and what the start left is the least of it. */
const LARGE_HEAP = 64 * 2 ** 20

type Collect = (how: { type: 'major'; execution: 'sync'; flavor: 'last-resort' }) => void

/**
 * Starting leaves garbage and compiled code that runs only once, three to six megabytes a process, which V8 gives back when it needs room:
 * in an idle dyno never. So it is asked for once, in the first span that is quiet; it takes 10 to 50 ms.
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

/** An ordinary collection keeps compiled code; the one before V8 gives up does not. Where Node does not offer it nothing happens. */
function collect(): void {
  setFlagsFromString('--expose-gc')
  const gc = runInNewContext('globalThis.gc') as Collect | undefined
  setFlagsFromString('--no-expose-gc')
  gc?.({ type: 'major', execution: 'sync', flavor: 'last-resort' })
}
