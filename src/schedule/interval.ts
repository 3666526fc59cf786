/**
 * Intervals are a fixed grid `anchor + k × period`, k ≥ 1. A grid survives restarts and does not drift. Celery adds the period
 * to the time of the last send, so the latency of its loop adds up: 10.8 s in an hour for a period of 10 s. Periods are elapsed
 * time: a day is 24 hours.
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
/** The highest value of the column, a PostgreSQL integer. */
const MAX_EVERY = 2_147_483_647

/**
 * Creates a valid interval.
 * @throws ScheduleError if `every` is not a whole number from 1, or the interval is shorter than a second or longer than a
 * century
 */
export const createInterval = (every: number, period: Period, anchor: Date): Interval => {
  const refuse = (field: string, reason: string): never => {
    throw new ScheduleError(`interval "${every} ${period}": ${reason}.`, { field })
  }
  if (!PERIODS.includes(period)) refuse('period', `the period must be one of ${PERIODS.join(', ')}`)
  if (!Number.isInteger(every) || every < 1) refuse('every', 'the count must be a whole number from 1')
  if (every > MAX_EVERY) refuse('every', `the count is at most ${MAX_EVERY}`)
  const total = every * MICROSECONDS[period]
  if (total < SHORTEST_US) refuse('every', 'the shortest period is 1 second')
  if (total > LONGEST_DAYS * MICROSECONDS.days) refuse('every', `the longest period is ${LONGEST_DAYS} days (100 years)`)
  if (Number.isNaN(anchor.getTime())) refuse('anchor', 'the anchor is not a date')
  return { kind: 'interval', every, period, anchor }
}

/**
 * Returns point k of the grid. A Date has only milliseconds, so each point of a grid of microseconds is rounded down separately,
 * and the errors do not add up.
 */
const gridPoint = ({ every, period, anchor }: Interval, k: number): number =>
  anchor.getTime() + Math.floor((k * every * MICROSECONDS[period]) / 1000)

const stepsBefore = ({ every, period, anchor }: Interval, atMs: number): number =>
  Math.max(1, Math.floor(((atMs - anchor.getTime()) * 1000) / (every * MICROSECONDS[period])) - 1)

/** HOT: runs for each claimed row. Returns the first grid point strictly after `afterMs`. */
export const nextIntervalTick = (interval: Interval, afterMs: number): number => {
  let k = stepsBefore(interval, afterMs)
  while (gridPoint(interval, k) <= afterMs) k += 1
  return gridPoint(interval, k)
}

/** Returns the number k of the last grid point at or before `atMs`; 0 if there is none. */
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

/** Returns the number of grid points in [fromMs, toMs]. */
export const countIntervalTicks = (interval: Interval, fromMs: number, toMs: number): number =>
  Math.max(0, lastStep(interval, toMs) - lastStep(interval, fromMs - 1))
