/** The time, passed as a parameter so that a test can set it. */
export interface Clock {
  /** Returns milliseconds since the epoch. */
  now(): number
}

export const systemClock: Clock = { now: () => Date.now() }
