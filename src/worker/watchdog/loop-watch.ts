import type { Delivery } from '../../broker/broker.ts'
import type { Log } from '../../log.ts'
import type { LoopWatch } from '../attempt/ports.ts'
import type { Watchdog } from './watchdog.ts'

export interface LoopWatchOptions {
  readonly log: Log
  /** If the event loop is blocked for at least this time, the block is logged. Milliseconds. 0: no block is logged. */
  readonly blockedMs: number
  /** Returns the messages whose tasks run now. */
  readonly inFlight: () => readonly Delivery[]
  /** Returns true if the task runs on the event loop, false if it runs in a thread. */
  readonly isOnLoop: (delivery: Delivery) => boolean
  /**
   * Starts the watchdog. Called when the first task with a hard limit starts, because only the watchdog can end code that never
   * yields.
   */
  readonly watchdog: () => Watchdog
}

/** `enter` and `leave` are called before and after the synchronous start of a task. All four methods are HOT. */
export interface OwnLoopWatch extends LoopWatch {
  enter(delivery: Delivery): void
  /** `result`: the promise of the code, which may continue after its attempt is over. */
  leave(delivery: Delivery, result: Promise<unknown>): void
  close(): Promise<void>
}

/** Time between two beats for the watchdog, in milliseconds. */
const BEAT_MS = 250
/** Largest number of tasks that are named in one log line. */
const MAX_NAMED = 10

/**
 * Creates the part that finds tasks that block the event loop, and logs each block once. The synchronous start of a task is
 * timed. Any other block is found when a timer is late, or before that when the task that caused it ends. Without tasks there is
 * no timer.
 */
export function createLoopWatch({ log, blockedMs, inFlight, isOnLoop, ...options }: LoopWatchOptions): OwnLoopWatch {
  const longestMs = blockedMs === 0 ? Number.POSITIVE_INFINITY : blockedMs
  const everyMs = Math.max(10, Math.min(BEAT_MS, longestMs / 4))
  let timer: NodeJS.Timeout | undefined
  let watchdog: Watchdog | undefined
  /** The time of the last turn of the loop that was seen. */
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

  /** `ended`: the task that ended right after the block, so most likely its cause. */
  const report = (ms: number, ended: Delivery | undefined) => {
    const others = inFlight().filter((delivery) => delivery !== ended && isOnLoop(delivery))
    const who = ended === undefined ? {} : nameOf(ended)
    const tasks = others.slice(0, MAX_NAMED).map(({ message: { headers } }) => `${headers.task}[${headers.id}]`)
    const fields = { ms: Math.round(ms), ...who, inFlight: tasks.join(' ') || 'none' }
    log.warn(fields, 'event loop was blocked, no other task could run')
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
      // This block makes the timer late too, but the timer must not log it again.
      seenAt = now
      log.warn({ ...nameOf(delivery), ms: Math.round(ms) }, 'event loop was blocked by a task, no other task could run')
    },
    async close() {
      clearInterval(timer)
      await watchdog?.close()
    },
  }
}

function settled(watchdog: Watchdog, delivery: Delivery, result: Promise<unknown>): void {
  const onSettled = () => watchdog.settled(delivery)
  result.then(onSettled, onSettled)
}

const nameOf = ({ message: { headers } }: Delivery) => ({ task: headers.task, id: headers.id })
