/** A schedule and its ticks. Pure: the clock is a parameter, and the time zone of the host is never used. */
import { type Crontab, countCrontabTicks, nextCrontabTick } from './crontab.ts'
import { countIntervalTicks, type Interval, lastIntervalTick, nextIntervalTick } from './interval.ts'
import { ScheduleError } from './schedule-error.ts'

/** Runs once, at one instant. */
type Clocked = { kind: 'clocked'; at: Date }
export type Schedule = Crontab | Interval | Clocked

const DAY_MS = 86_400_000
/** Days that `lastTick` searches a crontab back: the next 29 February on a given weekday can be 40 years away (across 2100). */
const LOOK_BACK_DAYS = 41 * 366
const MAX_DATE_MS = 8.64e15

/** Creates a schedule that runs once, at `at`. @throws ScheduleError if `at` is not a date */
export const createClocked = (at: Date): Clocked => {
  if (Number.isNaN(at.getTime())) throw new ScheduleError('clocked_time is not a date.', { field: 'clocked_time' })
  return { kind: 'clocked', at }
}

const nextMs = (schedule: Schedule, afterMs: number): number => {
  switch (schedule.kind) {
    case 'crontab':
      return nextCrontabTick(schedule, afterMs)
    case 'interval':
      return nextIntervalTick(schedule, afterMs)
    case 'clocked':
      return schedule.at.getTime() > afterMs ? schedule.at.getTime() : Number.POSITIVE_INFINITY
    default:
      return schedule satisfies never
  }
}

/**
 * Returns the first tick strictly after `after`, or null if there is none.
 * @throws ScheduleError if the fields or the zone of a crontab are not valid, because a person wrote the row with SQL or this
 * host lacks the zone
 */
export const nextTick = (schedule: Schedule, after: Date): Date | null => {
  const tick = nextMs(schedule, after.getTime())
  return tick <= MAX_DATE_MS ? new Date(tick) : null
}

/** Returns the next `n` ticks strictly after `after`, or fewer if the schedule ends. */
export const nextTicks = (schedule: Schedule, after: Date, n: number): Date[] => {
  const ticks: Date[] = []
  for (let tick = nextTick(schedule, after); tick !== null && ticks.length < n; tick = nextTick(schedule, tick)) ticks.push(tick)
  return ticks
}

/**
 * Returns the last tick in (floor, atMs], which contains at least one. Searches with `nextCrontabTick`, because cron-parser's
 * prev() and next() disagree around offset changes (docs/internals/schedules.md, "cron-parser").
 */
const lastBetween = (crontab: Crontab, floor: number, atMs: number): number => {
  let tick = nextCrontabTick(crontab, floor)
  let ceiling = atMs
  for (;;) {
    const following = nextCrontabTick(crontab, tick)
    if (following > atMs) return tick
    tick = following
    const middle = Math.floor((tick + ceiling) / 2)
    const later = nextCrontabTick(crontab, middle)
    if (later <= atMs) tick = later
    else ceiling = middle
  }
}

const lastCrontabTick = (crontab: Crontab, atMs: number): number | null => {
  for (let back = 60_000; ; back *= 8) {
    const floor = atMs - Math.min(back, LOOK_BACK_DAYS * DAY_MS)
    if (nextCrontabTick(crontab, floor) <= atMs) return lastBetween(crontab, floor, atMs)
    if (back >= LOOK_BACK_DAYS * DAY_MS) return null
  }
}

/** Returns the last tick at or before `atOrBefore`, or null. Searches a crontab 41 years back, in about 50 steps at most. */
export const lastTick = (schedule: Schedule, atOrBefore: Date): Date | null => {
  const atMs = atOrBefore.getTime()
  if (schedule.kind === 'clocked') return schedule.at.getTime() <= atMs ? schedule.at : null
  const tick = schedule.kind === 'interval' ? lastIntervalTick(schedule, atMs) : lastCrontabTick(schedule, atMs)
  return tick === null ? null : new Date(tick)
}

/** Returns the number of ticks in [from, to]. For a crontab the number is exact unless the zone's offset changes in between. */
export const countTicks = (schedule: Schedule, from: Date, to: Date): number => {
  const [fromMs, toMs] = [from.getTime(), to.getTime()]
  if (schedule.kind === 'crontab') return countCrontabTicks(schedule, fromMs, toMs)
  if (schedule.kind === 'interval') return countIntervalTicks(schedule, fromMs, toMs)
  return schedule.at >= from && schedule.at <= to ? 1 : 0
}
