/**
 * A second, slow implementation of the tick rule for tests. It checks every wall-clock minute of a window, reads offsets from another
 * Intl format than the code under test, and does not use cron-parser.
 */
const MINUTE_MS = 60_000
const DAY_MS = 86_400_000
const QUARTER_MS = 15 * MINUTE_MS
const HOUR_MS = 60 * MINUTE_MS

export type OracleFields = {
  minute: ReadonlySet<number>
  hour: ReadonlySet<number>
  dayOfMonth: ReadonlySet<number>
  last: boolean
  monthOfYear: ReadonlySet<number>
  dayOfWeek: ReadonlySet<number>
  dayRule: 'and' | 'or'
}
type Segment = { start: number; end: number; offset: number }

const formatters = new Map<string, Intl.DateTimeFormat>()

/** The wall-clock time of a zone, computed from its calendar parts. */
export const wallAt = (timezone: string, at: number): number => {
  let formatter = formatters.get(timezone)
  if (formatter === undefined) {
    const numeric = {
      year: 'numeric',
      month: 'numeric',
      day: 'numeric',
      hour: 'numeric',
      minute: 'numeric',
      second: 'numeric',
    } as const
    formatter = new Intl.DateTimeFormat('en-US', { timeZone: timezone, hourCycle: 'h23', ...numeric })
    formatters.set(timezone, formatter)
  }
  const parts = Object.fromEntries(formatter.formatToParts(at).map(({ type, value }) => [type, Number(value)]))
  const { year, month, day, hour, minute, second } = parts as Record<
    'year' | 'month' | 'day' | 'hour' | 'minute' | 'second',
    number
  >
  return Date.UTC(year, month - 1, day, hour, minute, second) + (((at % 1000) + 1000) % 1000)
}

/** Periods of equal offset. Since 1990 offsets change at quarters of an hour, so only hours whose ends differ are searched. */
const segmentsOf = (timezone: string, from: number, to: number): Segment[] => {
  const segments: Segment[] = []
  const offset = (at: number): number => wallAt(timezone, at) - at
  const add = (start: number, end: number, value: number): void => {
    const previous = segments.at(-1)
    if (previous?.offset === value) previous.end = end
    else segments.push({ start, end, offset: value })
  }
  let here = offset(Math.floor(from / HOUR_MS) * HOUR_MS)
  for (let at = Math.floor(from / HOUR_MS) * HOUR_MS; at < to; at += HOUR_MS) {
    const next = offset(at + HOUR_MS)
    if (next === here) add(at, at + HOUR_MS, here)
    else for (let quarter = at; quarter < at + HOUR_MS; quarter += QUARTER_MS) add(quarter, quarter + QUARTER_MS, offset(quarter))
    here = next
  }
  return segments
}

export const matches = (fields: OracleFields, wall: number): boolean => {
  const date = new Date(wall)
  if (!fields.minute.has(date.getUTCMinutes()) || !fields.hour.has(date.getUTCHours())) return false
  if (!fields.monthOfYear.has(date.getUTCMonth() + 1)) return false
  const isLast = new Date(wall + DAY_MS).getUTCMonth() !== date.getUTCMonth()
  const monthDay = fields.dayOfMonth.has(date.getUTCDate()) || (fields.last && isLast)
  const weekday = fields.dayOfWeek.has(date.getUTCDay())
  const bothRestricted = fields.dayOfMonth.size < 31 && fields.dayOfWeek.size < 7
  return bothRestricted && fields.dayRule === 'or' ? monthDay || weekday : monthDay && weekday
}

/** The instant of a wall-clock minute: its first occurrence, or in a gap the instant by the offset before the gap. */
const instantOf = (segments: readonly Segment[], wall: number): number | undefined => {
  for (const [index, { start, end, offset }] of segments.entries()) {
    if (wall - offset >= start && wall - offset < end) return wall - offset
    const following = segments[index + 1]
    if (following !== undefined && wall - offset >= end && wall - following.offset < following.start) return wall - offset
  }
  return undefined
}

/** Every tick in (after, until], in order. */
export const ticksBetween = (fields: OracleFields, timezone: string, after: number, until: number): number[] => {
  const segments = segmentsOf(timezone, after - 2 * DAY_MS, until + 2 * DAY_MS)
  const ticks = new Set<number>()
  const minute = (at: number): number => Math.floor(at / MINUTE_MS) * MINUTE_MS
  for (let at = minute(after - 1.5 * DAY_MS); at <= until + 1.5 * DAY_MS; at += MINUTE_MS) {
    // If all 24 hours match, `at` is an instant. Otherwise `at` is a wall-clock time with one instant.
    const offset = segments.find(({ start, end }) => at >= start && at < end)?.offset ?? Number.NaN
    const tick =
      fields.hour.size === 24
        ? matches(fields, at + offset)
          ? at
          : undefined
        : matches(fields, at)
          ? instantOf(segments, at)
          : undefined
    if (tick !== undefined && tick > after && tick <= until) ticks.add(tick)
  }
  return [...ticks].sort((a, b) => a - b)
}

/** All offset changes of a zone between two instants, exact to a quarter of an hour. */
export const offsetChanges = (timezone: string, from: number, to: number): number[] => {
  const offset = (at: number): number => wallAt(timezone, at) - at
  const changes: number[] = []
  for (let start = from; start < to; start += 7 * DAY_MS) {
    let [low, high] = [start, start + 7 * DAY_MS]
    if (offset(low) === offset(high)) continue
    while (high - low > QUARTER_MS) {
      const middle = Math.floor((low + high) / 2 / QUARTER_MS) * QUARTER_MS
      if (offset(middle) === offset(low)) low = middle
      else high = middle
    }
    changes.push(high)
  }
  return changes
}
