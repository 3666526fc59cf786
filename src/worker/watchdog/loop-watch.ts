import type { Delivery } from '../../broker/broker.ts'
import type { Log } from '../../log.ts'
import type { LoopWatch } from '../attempt/ports.ts'
import type { Watchdog } from './watchdog.ts'

export interface LoopWatchOptions {
  readonly log: Log
  /** A block of the event loop that is at least so long is reported, milliseconds. 0: none is. */
  readonly blockedMs: number
  /** Messages whose tasks run now. */
  readonly inFlight: () => readonly Delivery[]
  /** Does its task run on the event loop, rather than in a thread? */
  readonly isOnLoop: (delivery: Delivery) => boolean
  /** Started by the first task with a hard limit: nobody else can end code that never yields. */
  readonly watchdog: () => Watchdog
}

/** The worker's own view: `enter` and `leave` are around the synchronous beginning of a task. HOT, all four. */
export interface OwnLoopWatch extends LoopWatch {
  enter(delivery: Delivery): void
  /** `result`: of its code, which may go on after its attempt is over. */
  leave(delivery: Delivery, result: Promise<unknown>): void
  close(): Promise<void>
}

/** The watchdog counts on a sign of life this often, in milliseconds. */
const BEAT_MS = 250
/** Tasks that one line names. */
const MAX_NAMED = 10

/**
 * Finds what blocks the event loop, and says it once a block. A task's beginning is timed by itself; any other block is found when a timer
 * comes late or, better, when the task that caused it ends: that is before any timer. Without tasks there is no timer.
 */
export function createLoopWatch({ log, blockedMs, inFlight, isOnLoop, ...options }: LoopWatchOptions): OwnLoopWatch {
  const longestMs = blockedMs === 0 ? Number.POSITIVE_INFINITY : blockedMs
  const everyMs = Math.max(10, Math.min(BEAT_MS, longestMs / 4))
  let timer: NodeJS.Timeout | undefined
  let watchdog: Watchdog | undefined
  /** When the loop was last seen to go round. */
  let seenAt = 0
  let enteredAt = 0

  const tick = () => {
    watchdog?.beat()
    look(undefined)
    if (inFlight().length > 0) return
    clearInterval(timer)
    timer = undefined
  }

  const look = (ended: Delivery | undefined) => {
    const now = performance.now()
    const lateMs = now - seenAt - everyMs
    if (ended === undefined || lateMs >= longestMs) seenAt = now
    if (lateMs >= longestMs) report(lateMs, ended !== undefined && isOnLoop(ended) ? ended : undefined)
  }

  /** `ended`: it came to its end right after the block, so it is most likely the one. */
  const report = (ms: number, ended: Delivery | undefined) => {
    const others = inFlight().filter((delivery) => delivery !== ended && isOnLoop(delivery))
    const who = ended === undefined ? {} : nameOf(ended)
    const tasks = others.slice(0, MAX_NAMED).map(({ message: { headers } }) => `${headers.task}[${headers.id}]`)
    const fields = { ms: Math.round(ms), ...who, inFlight: tasks.join(' ') || 'none' }
    log.warn(fields, 'event loop was blocked: nothing else could run')
  }

  return {
    begun(delivery, hardLimitMs) {
      if (timer === undefined) {
        seenAt = performance.now()
        timer = setInterval(tick, everyMs).unref()
      }
      if (hardLimitMs === undefined || !isOnLoop(delivery)) return
      watchdog ??= options.watchdog()
      watchdog.begun(delivery, hardLimitMs)
    },
    ended(delivery) {
      look(delivery)
      watchdog?.ended(delivery)
    },
    enter(delivery) {
      watchdog?.entered(delivery)
      enteredAt = performance.now()
    },
    leave(delivery, result) {
      const now = performance.now()
      const ms = now - enteredAt
      if (watchdog !== undefined) {
        watchdog.left()
        if (watchdog.guards(delivery)) settled(watchdog, delivery, result)
      }
      if (ms < longestMs) return
      // The timer will be late because of this, and need not say it again.
      seenAt = now
      log.warn({ ...nameOf(delivery), ms: Math.round(ms) }, 'event loop was blocked by a task: nothing else could run')
    },
    async close() {
      clearInterval(timer)
      await watchdog?.close()
    },
  }
}

function settled(watchdog: Watchdog, delivery: Delivery, result: Promise<unknown>): void {
  const tell = () => watchdog.settled(delivery)
  result.then(tell, tell)
}

const nameOf = ({ message: { headers } }: Delivery) => ({ task: headers.task, id: headers.id })
