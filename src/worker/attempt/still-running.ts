/** Reports runs that take longer than a given time. HOT: a run costs one entry in a map, and all runs share one timer. */
export interface StillRunning<T> {
  begun(one: T): void
  ended(one: T): void
}

/** @param report called once for each run that has not ended after `afterMs` milliseconds. Without runs there is no timer */
export function createStillRunning<T>(afterMs: number, report: (one: T) => void): StillRunning<T> {
  /** The start time of each run, in the order of the starts. */
  const running = new Map<T, number>()
  let timer: NodeJS.Timeout | undefined

  const look = () => {
    timer = undefined
    const now = performance.now()
    for (const [one, since] of running) {
      const leftMs = since + afterMs - now
      if (leftMs > 0) return lookIn(leftMs)
      running.delete(one)
      report(one)
    }
  }
  /** Starts the timer, which does not keep the process alive. */
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
