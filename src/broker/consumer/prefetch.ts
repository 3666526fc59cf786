/** How far ahead of its slots a worker claims, in milliseconds of its work at the measured rate (docs/internals/queue-design.md). */
const AHEAD_MS = 30
const MAX_AHEAD = 2000
/** Weight of the newest measurement, and the shortest busy time that makes one. */
const NEWEST = 0.3
const MEASURE_MS = 0.2

export interface Prefetch {
  /** `count` more messages are held. */
  taken(count: number): void
  /** A held message ended. */
  finished(): void
  /** A held message was given up without running to its end. */
  requeued(): void
  /** How many messages to hold at the measured rate; never less than the slots. */
  target(): number
  /** How many more messages to claim; 0 when there are too few to be worth a statement. */
  room(): number
}

/**
 * How many messages a worker claims before a slot is free. Fast tasks are claimed hundreds at a time, slow ones never beyond the free slots,
 * so that two workers share fairly without a setting. The rate counts only time in which something was held: time spent waiting for the
 * database says nothing about the tasks, and counting it would make small batches the reason for small batches.
 */
export function createPrefetch(concurrency: number, now: () => number = () => performance.now()): Prefetch {
  let held = 0
  let perMs = 0
  let done = 0
  let busyMs = 0
  let busySince = 0

  const release = () => {
    if (--held === 0) busyMs += now() - busySince
  }

  const measure = () => {
    if (held > 0) {
      const at = now()
      busyMs += at - busySince
      busySince = at
    }
    if (busyMs < MEASURE_MS || done === 0) return
    perMs = perMs === 0 ? done / busyMs : perMs + NEWEST * (done / busyMs - perMs)
    done = 0
    busyMs = 0
  }

  const target = () => {
    measure()
    return Math.min(MAX_AHEAD, Math.max(concurrency, Math.ceil(perMs * AHEAD_MS)))
  }

  return {
    taken(count) {
      if (held === 0) busySince = now()
      held += count
    },
    finished() {
      done++
      release()
    },
    requeued() {
      // A prefetched message did not run in time, so the measured rate is wrong: without this it would be claimed again at once.
      perMs = 0
      release()
    },
    target,
    room() {
      const wanted = target()
      const room = wanted - held
      return held > 0 && wanted > concurrency && room < wanted / 4 ? 0 : Math.max(0, room)
    },
  }
}
