/**
 * The matching minutes of a calendar that has no time zone: cron-parser, always with tz UTC and with lists of numbers expanded by us.
 * It is loaded at the first crontab that is evaluated: a process that has only intervals does not pay for it and for luxon.
 */
import { createRequire } from 'node:module'
import type { CronExpression, CronExpressionParser } from 'cron-parser'
import type { CrontabField, FieldSet } from './crontab-fields.ts'

export type CrontabSets = Readonly<Record<CrontabField, FieldSet>>

const DAY_MS = 86_400_000
/** The longest month of each number, 1 to 12. */
const LONGEST = [0, 31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]

let parser: typeof CronExpressionParser | undefined
const cronParser = (): typeof CronExpressionParser => {
  parser ??= (createRequire(import.meta.url)('cron-parser') as { CronExpressionParser: typeof CronExpressionParser })
    .CronExpressionParser
  return parser
}

const listOf = (set: FieldSet): string => (set.full ? '*' : [...set.values, ...(set.last ? ['L'] : [])].join(','))

/** The days of month that exist in at least one of the months; cron-parser refuses the 31st of February, even in a list. */
export const possibleDays = ({ dayOfMonth, monthOfYear }: CrontabSets): FieldSet => {
  const longest = Math.max(...monthOfYear.values.map((month) => LONGEST[month]!))
  return dayOfMonth.full ? dayOfMonth : { ...dayOfMonth, values: dayOfMonth.values.filter((day) => day <= longest) }
}

/** Steps through matching wall-clock minutes, in milliseconds as if they were UTC. */
export type WallClock = {
  /** Starts again; the first `next()` is strictly after `wallMs`. */
  startAfter(wallMs: number): void
  next(): number
}

/** One `WallClock` is one mutable cursor: finish a search before the next begins. Costs about 20 µs a step. */
export const createWallClock = (sets: CrontabSets, dayRule: 'and' | 'or'): WallClock => {
  const days = possibleDays(sets)
  const bothDays = !days.full && !sets.dayOfWeek.full
  const and = bothDays && dayRule === 'and'
  // cron-parser joins the two day fields with OR, so AND walks the days of the month and tests the weekday here.
  const weekdays = and ? '*' : listOf(sets.dayOfWeek)
  // No day of these months left (31 in February) OR Mondays: the weekday alone decides.
  const monthDays = days.values.length === 0 && !days.last ? '*' : listOf(days)
  const text = `${listOf(sets.minute)} ${listOf(sets.hour)} ${monthDays} ${listOf(sets.monthOfYear)} ${weekdays}`
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
