/**
 * Crontab schedules: validation and ticks. The rule for changes of the UTC offset (docs/internals/schedules.md, "Offset changes"):
 * a missing wall-clock time runs with the offset before the gap (02:30 → 03:30); a repeated time runs at its first occurrence. A schedule
 * of all 24 hours follows elapsed time instead: both passes run, and a gap adds no run. Equal instants are one tick.
 */
import { remember } from './bounded-map.ts'
import { CRONTAB_FIELDS, type CrontabField, expandField } from './crontab-fields.ts'
import { ScheduleError } from './schedule-error.ts'
import { checkTimeZone, offsetAt, resolveWallClock } from './time-zone.ts'
import { type CrontabSets, createWallClock, possibleDays, type WallClock } from './wall-clock.ts'

export type DayRule = 'and' | 'or'

/**
 * The five fields as a person typed them. `dayRule` joins the two day fields if both are restricted. `timezone` is the IANA zone
 * of the wall clock.
 */
export type Crontab = { kind: 'crontab' } & Record<CrontabField, string> & { dayRule: DayRule; timezone: string }

type Compiled = {
  sets: CrontabSets
  everyHour: boolean
  timezone: string
  wallClock: WallClock | undefined
  ticks: Map<number, number>
}

const DAY_MS = 86_400_000
/**
 * Maximum number of compiled crontabs in the cache; each takes 5 kB. If there are more distinct crontabs, some compile again,
 * which takes about 0.1 ms.
 */
const MAX_COMPILED = 1_000
/**
 * Number of ticks that the cache keeps for each crontab. A few are enough, because rows with the same fields are due at the same
 * instants.
 */
const MAX_TICKS = 32

const compiled = new Map<string, Compiled>()

const expand = (crontab: Crontab): CrontabSets => {
  const sets = {
    minute: expandField('minute', crontab.minute),
    hour: expandField('hour', crontab.hour),
    dayOfWeek: expandField('dayOfWeek', crontab.dayOfWeek),
    dayOfMonth: expandField('dayOfMonth', crontab.dayOfMonth),
    monthOfYear: expandField('monthOfYear', crontab.monthOfYear),
  }
  const days = possibleDays(sets)
  // With OR, the weekday alone selects days, so a date always matches. With AND, each existing day falls on each weekday within
  // 40 years. Neither case needs a search.
  const weekdayDecides = crontab.dayRule === 'or' && !sets.dayOfWeek.full
  if (days.values.length === 0 && !days.last && !weekdayDecides) {
    const months = `${CRONTAB_FIELDS.monthOfYear.column} "${crontab.monthOfYear}"`
    throw new ScheduleError(
      `day_of_month "${crontab.dayOfMonth}" does not exist in ${months}. Use a day that exists there, or L for the last day.`,
      {
        field: 'day_of_month',
      },
    )
  }
  return sets
}

const compile = (crontab: Crontab): Compiled => {
  const { minute, hour, dayOfWeek, dayOfMonth, monthOfYear, dayRule, timezone } = crontab
  const key = [minute, hour, dayOfWeek, dayOfMonth, monthOfYear, dayRule, timezone].join(' ')
  const known = compiled.get(key)
  if (known !== undefined) return known
  const sets = expand(crontab)
  const entry = { sets, everyHour: sets.hour.full, timezone: checkTimeZone(timezone), wallClock: undefined, ticks: new Map() }
  return remember(compiled, MAX_COMPILED, [key, entry])
}

/** Returns the values that each field selects. @throws ScheduleError as `createCrontab` does */
export const crontabSets = (crontab: Crontab): CrontabSets => compile(crontab).sets

/**
 * Creates a valid crontab. Omitted fields are `*`.
 * @throws ScheduleError if a field does not match the grammar, no date can match, or the zone is unknown
 */
export const createCrontab = (
  fields: Partial<Record<CrontabField, string>>,
  { dayRule = 'and', timezone }: { dayRule?: DayRule; timezone: string },
): Crontab => {
  const { minute = '*', hour = '*', dayOfWeek = '*', dayOfMonth = '*', monthOfYear = '*' } = fields
  if (dayRule !== 'and' && dayRule !== 'or') {
    throw new ScheduleError(`day_rule "${dayRule}": accepted are and, or.`, { field: 'day_rule' })
  }
  const crontab: Crontab = {
    kind: 'crontab',
    minute,
    hour,
    dayOfWeek,
    dayOfMonth,
    monthOfYear,
    dayRule,
    timezone: checkTimeZone(timezone),
  }
  compile(crontab)
  return crontab
}

/** Returns the wall-clock time from which the search finds every tick after `afterMs`. */
const searchStart = ({ everyHour, timezone }: Compiled, afterMs: number): number => {
  const here = offsetAt(timezone, afterMs)
  if (everyHour) {
    // Shortly before the clock is set back, some ticks after `afterMs` have wall-clock times that are already past. This is how
    // far the clock goes back.
    const back = here - offsetAt(timezone, afterMs + DAY_MS)
    return afterMs + here - (back > 0 && offsetAt(timezone, afterMs + back) !== here ? back : 0)
  }
  // Shortly after a gap, wall-clock times inside the gap are still due at their moved instants. This is the length of the gap.
  const forward = here - offsetAt(timezone, afterMs - DAY_MS - 3_600_000)
  return afterMs + here - (forward > 0 && offsetAt(timezone, afterMs - forward) !== here ? forward : 0)
}

const search = (entry: Compiled, wallClock: WallClock, afterMs: number): number => {
  wallClock.startAfter(searchStart(entry, afterMs))
  let best = Number.POSITIVE_INFINITY
  for (;;) {
    const { first, second, missing } = resolveWallClock(entry.timezone, wallClock.next())
    if (missing && entry.everyHour) continue
    if (first > afterMs) {
      best = Math.min(best, first)
      // A moved time can share its instant with a later time, so the search ends only at a time that exists.
      if (!missing) return best
    } else if (entry.everyHour && second !== undefined && second > afterMs) best = Math.min(best, second)
  }
}

/** HOT: runs for each claimed row. Returns the first tick strictly after `afterMs`. Both are milliseconds since 1970. */
export const nextCrontabTick = (crontab: Crontab, afterMs: number): number => {
  const entry = compile(crontab)
  const known = entry.ticks.get(afterMs)
  if (known !== undefined) return known
  entry.wallClock ??= createWallClock(entry.sets, crontab.dayRule)
  return remember(entry.ticks, MAX_TICKS, [afterMs, search(entry, entry.wallClock, afterMs)])
}

const dayMatches = (sets: CrontabSets, dayRule: DayRule, day: Date): boolean => {
  if (!sets.monthOfYear.values.includes(day.getUTCMonth() + 1)) return false
  const isLast = new Date(day.getTime() + DAY_MS).getUTCDate() === 1
  const monthDay = sets.dayOfMonth.values.includes(day.getUTCDate()) || (sets.dayOfMonth.last && isLast)
  const weekday = sets.dayOfWeek.values.includes(day.getUTCDay())
  const either = dayRule === 'or' && !sets.dayOfMonth.full && !sets.dayOfWeek.full
  return either ? monthDay || weekday : monthDay && weekday
}

/**
 * Returns the number of ticks in [fromMs, toMs]. Counts by calendar day, so a year of minutes takes microseconds instead of
 * seconds. If the UTC offset of the zone changes in this range, the number can be wrong by the ticks of the skipped or repeated
 * hour, because wall-clock times are counted.
 */
export const countCrontabTicks = (crontab: Crontab, fromMs: number, toMs: number): number => {
  const { sets, timezone } = compile(crontab)
  const from = fromMs + offsetAt(timezone, fromMs)
  const to = toMs + offsetAt(timezone, toMs)
  const times = sets.hour.values.flatMap((hour) => sets.minute.values.map((minute) => (hour * 60 + minute) * 60_000))
  let count = 0
  for (let day = from - (((from % DAY_MS) + DAY_MS) % DAY_MS); day <= to; day += DAY_MS) {
    if (!dayMatches(sets, crontab.dayRule, new Date(day))) continue
    const isWhole = day >= from && day + DAY_MS <= to
    count += isWhole ? times.length : times.filter((time) => day + time >= from && day + time <= to).length
  }
  return count
}
