/**
 * Finds the matching minutes of a calendar without time zone. Uses cron-parser, always with tz UTC and with fields expanded to
 * numbers. cron-parser is loaded when the first crontab is evaluated, so a process that has only intervals does not load cron-
 * parser and luxon.
 */
import { createRequire } from 'node:module'
import type { CronExpression, CronExpressionParser } from 'cron-parser'
import type { CrontabField, FieldSet } from './crontab-fields.ts'

export type CrontabSets = Readonly<Record<CrontabField, FieldSet>>

const DAY_MS = 86_400_000
/** Maximum number of days of each month; the index is the month, 1 to 12. */
const LONGEST = [0, 31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]

let parser: typeof CronExpressionParser | undefined
const cronParser = (): typeof CronExpressionParser => {
  parser ??= (createRequire(import.meta.url)('cron-parser') as { CronExpressionParser: typeof CronExpressionParser })
    .CronExpressionParser
  return parser
}

const cronList = (set: FieldSet): string => (set.full ? '*' : [...set.values, ...(set.last ? ['L'] : [])].join(','))

/** Returns the days that exist in at least one of the months. cron-parser refuses 31 February, even in a list. */
export const possibleDays = ({ dayOfMonth, monthOfYear }: CrontabSets): FieldSet => {
  const longest = Math.max(...monthOfYear.values.map((month) => LONGEST[month]!))
  return dayOfMonth.full ? dayOfMonth : { ...dayOfMonth, values: dayOfMonth.values.filter((day) => day <= longest) }
}

/** Steps through matching wall-clock minutes, in milliseconds as if the wall clock were UTC. */
export type WallClock = {
  /** Restarts the search. The first `next()` is strictly after `wallMs`. */
  startAfter(wallMs: number): void
  next(): number
}

/** Creates a mutable cursor: a search must end before the next search starts. A step takes about 20 µs. */
export const createWallClock = (sets: CrontabSets, dayRule: 'and' | 'or'): WallClock => {
  const days = possibleDays(sets)
  const bothDays = !days.full && !sets.dayOfWeek.full
  const and = bothDays && dayRule === 'and'
  // cron-parser joins the two day fields with OR. For AND, this code steps through the days of the month and tests the weekday
  // itself.
  const weekdays = and ? '*' : cronList(sets.dayOfWeek)
  // If none of the days exists (31 February) and the rule is OR, the weekday alone selects the days.
  const monthDays = days.values.length === 0 && !days.last ? '*' : cronList(days)
  const text = `${cronList(sets.minute)} ${cronList(sets.hour)} ${monthDays} ${cronList(sets.monthOfYear)} ${weekdays}`
  const expression: CronExpression = cronParser().parse(text, { tz: 'UTC', currentDate: new Date(0) })
  return {
    startAfter: (wallMs) => expression.reset(new Date(wallMs)),
    next: () => {
      for (;;) {
        const wallMs = expression.next().getTime()
        if (!and || sets.dayOfWeek.values.includes(new Date(wallMs).getUTCDay())) return wallMs
        expression.reset(new Date(wallMs - (wallMs % DAY_MS) + DAY_MS - 1))
      }
    },
  }
}
