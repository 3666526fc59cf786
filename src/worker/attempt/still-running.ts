/** Says which of many still run after a while. HOT: each that begins and ends costs an entry in a map, and all of them share one timer. */
export interface StillRunning<T> {
  begun(one: T): void
  ended(one: T): void
}

/** @param say called once for each that has run for `afterMs` milliseconds without an end. Without any that runs there is no timer */
export function createStillRunning<T>(afterMs: number, say: (one: T) => void): StillRunning<T> {
  /** Since when, in the order of their beginnings. */
  const running = new Map<T, number>()
  let timer: NodeJS.Timeout | undefined

  const look = () => {
    timer = undefined
    const now = performance.now()
    for (const [one, since] of running) {
      const leftMs = since + afterMs - now
      if (leftMs > 0) return lookIn(leftMs)
      running.delete(one)
      say(one)
    }
  }
  /** The process need not stay for it: what runs keeps it, or does not. */
  const lookIn = (ms: number) => {
    timer = setTimeout(look, Math.ceil(ms)).unref()
  }

  return {
    begun(one) {
      running.set(one, performance.now())
      if (timer === undefined) lookIn(afterMs)
    },
    ended(one) {
      running.delete(one)
    },
  }
}
