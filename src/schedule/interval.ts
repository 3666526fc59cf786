/**
 * Intervals: a fixed grid `anchor + k × period`, k ≥ 1. Celery adds the period to the time of the last send and drifts by the loop's latency
 * (10.8 s an hour at 10 s); a grid does not, and it survives restarts. Elapsed time: a day is 24 hours, also when the clocks change.
 */
import { ScheduleError } from './schedule-error.ts'

export const PERIODS = ['days', 'hours', 'minutes', 'seconds', 'microseconds'] as const
export type Period = (typeof PERIODS)[number]
export type Interval = { kind: 'interval'; every: number; period: Period; anchor: Date }

const MICROSECONDS: Record<Period, number> = {
  days: 86_400_000_000,
  hours: 3_600_000_000,
  minutes: 60_000_000,
  seconds: 1_000_000,
  microseconds: 1,
}
const SHORTEST_US = 1_000_000
const LONGEST_DAYS = 36_525
/** The column is a PostgreSQL integer. */
const MAX_EVERY = 2_147_483_647

/** @throws ScheduleError if `every` is not a whole number from 1, or the period is shorter than a second or longer than a century. */
export const createInterval = (every: number, period: Period, anchor: Date): Interval => {
  const refuse = (field: string, reason: string): never => {
    throw new ScheduleError(`interval "${every} ${period}": ${reason}.`, { field })
  }
  if (!PERIODS.includes(period)) refuse('period', `the period is one of ${PERIODS.join(', ')}`)
  if (!Number.isInteger(every) || every < 1) refuse('every', 'the count is a whole number, 1 or more')
  if (every > MAX_EVERY) refuse('every', `the count is at most ${MAX_EVERY}`)
  const total = every * MICROSECONDS[period]
  if (total < SHORTEST_US) refuse('every', 'the shortest period is 1 second')
  if (total > LONGEST_DAYS * MICROSECONDS.days) refuse('every', `the longest period is ${LONGEST_DAYS} days (100 years)`)
  if (Number.isNaN(anchor.getTime())) refuse('anchor', 'the anchor is not a date')
  return { kind: 'interval', every, period, anchor }
}

/** Dates hold milliseconds, so a grid of microseconds is rounded down, each point by itself: the error does not add up. */
const gridPoint = ({ every, period, anchor }: Interval, k: number): number =>
  anchor.getTime() + Math.floor((k * every * MICROSECONDS[period]) / 1000)

const stepsBefore = ({ every, period, anchor }: Interval, atMs: number): number =>
  Math.max(1, Math.floor(((atMs - anchor.getTime()) * 1000) / (every * MICROSECONDS[period])) - 1)

/** HOT. The first grid point strictly after `afterMs`. */
export const nextIntervalTick = (interval: Interval, afterMs: number): number => {
  let k = stepsBefore(interval, afterMs)
  while (gridPoint(interval, k) <= afterMs) k += 1
  return gridPoint(interval, k)
}

/** The number k of the last grid point at or before `atMs`; 0 if there is none. */
const lastStep = (interval: Interval, atMs: number): number => {
  let k = stepsBefore(interval, atMs)
  if (gridPoint(interval, k) > atMs) return 0
  while (gridPoint(interval, k + 1) <= atMs) k += 1
  return k
}

export const lastIntervalTick = (interval: Interval, atMs: number): number | null => {
  const k = lastStep(interval, atMs)
  return k === 0 ? null : gridPoint(interval, k)
}

/** How many grid points lie in [fromMs, toMs]. */
export const countIntervalTicks = (interval: Interval, fromMs: number, toMs: number): number =>
  Math.max(0, lastStep(interval, toMs) - lastStep(interval, fromMs - 1))
