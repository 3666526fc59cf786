/**
 * A worker claims as many messages as it runs in this time at the measured rate (docs/internals/queue-design.md). Milliseconds.
 */
const AHEAD_MS = 30
const MAX_AHEAD = 2000
/** Weight of the newest measurement (NEWEST), and the shortest busy time that counts as a measurement (MEASURE_MS). */
const NEWEST = 0.3
const MEASURE_MS = 0.2

export interface Prefetch {
  /** Reports that `count` more messages are held. */
  taken(count: number): void
  /** Reports that a held message ended. */
  finished(): void
  /** Reports that a held message was given up before it ran to its end. */
  requeued(): void
  /** Returns how many messages to hold at the measured rate; never fewer than the slots. */
  target(): number
  /** Returns how many more messages to claim; 0 if the number is too small to be worth a statement. */
  room(): number
}

/**
 * Decides how many messages a worker claims before a slot is free. Fast tasks are claimed hundreds at a time, slow tasks only
 * for free slots, so that two workers share fairly without a setting. The rate counts only the time in which messages were held.
 * The time without messages is spent on claims: if it counted, small batches would lower the rate, and the lower rate would make
 * the batches smaller still.
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
      // A prefetched message did not run in time, so the measured rate is wrong. If the rate stayed, the message would be
      // claimed again at once.
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
