/** What a schedule is, and its ticks. Pure: the clock comes in as a parameter, and no time zone of the host is ever used. */
import { type Crontab, countCrontabTicks, nextCrontabTick } from './crontab.ts'
import { countIntervalTicks, type Interval, lastIntervalTick, nextIntervalTick } from './interval.ts'
import { ScheduleError } from './schedule-error.ts'

/** One instant, once. */
export type Clocked = { kind: 'clocked'; at: Date }
export type Schedule = Crontab | Interval | Clocked

const DAY_MS = 86_400_000
/** How far back `lastTick` looks for the tick of a crontab: 29 February on a given weekday is up to 40 years away (across 2100). */
const LOOK_BACK_DAYS = 41 * 366
const MAX_DATE_MS = 8.64e15

/** @throws ScheduleError if it is not a date. */
export const createClocked = (at: Date): Clocked => {
  if (Number.isNaN(at.getTime())) throw new ScheduleError('clocked_time: not a date.', { field: 'clocked_time' })
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
 * The first tick strictly after `after`, or null if there is none.
 * @throws ScheduleError if a crontab's fields or zone are not valid (rows written by hand, a zone that this host does not know).
 */
export const nextTick = (schedule: Schedule, after: Date): Date | null => {
  const tick = nextMs(schedule, after.getTime())
  return tick <= MAX_DATE_MS ? new Date(tick) : null
}

/** The next `n` ticks strictly after `after`; fewer if the schedule ends. */
export const nextTicks = (schedule: Schedule, after: Date, n: number): Date[] => {
  const ticks: Date[] = []
  for (let tick = nextTick(schedule, after); tick !== null && ticks.length < n; tick = nextTick(schedule, tick)) ticks.push(tick)
  return ticks
}

/**
 * Searches backwards with `nextCrontabTick` alone, because cron-parser's prev() does not see the runs that its next() gives.
 * `floor` is the last instant known to have a tick after it that is not too late; the answer lies in (floor, atMs].
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

/** The last tick at or before `atOrBefore`, or null; a crontab is searched 41 years back, in at most some 50 steps. */
export const lastTick = (schedule: Schedule, atOrBefore: Date): Date | null => {
  const atMs = atOrBefore.getTime()
  if (schedule.kind === 'clocked') return schedule.at.getTime() <= atMs ? schedule.at : null
  const tick = schedule.kind === 'interval' ? lastIntervalTick(schedule, atMs) : lastCrontabTick(schedule, atMs)
  return tick === null ? null : new Date(tick)
}

/** How many ticks lie in [from, to]; for a crontab exact unless the zone's offset changes within. */
export const countTicks = (schedule: Schedule, from: Date, to: Date): number => {
  const [fromMs, toMs] = [from.getTime(), to.getTime()]
  if (schedule.kind === 'crontab') return countCrontabTicks(schedule, fromMs, toMs)
  if (schedule.kind === 'interval') return countIntervalTicks(schedule, fromMs, toMs)
  return schedule.at >= from && schedule.at <= to ? 1 : 0
}
