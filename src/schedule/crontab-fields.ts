/**
 * The five fields of a crontab: names, limits, and the expansion of a text to a set of values. The grammar is that of Celery 5.6
 * (celery/schedules.py, crontab_parser), but with anchored regular expressions, so that trailing text is an error:
 *
 *     field := part (',' part)*     part := ('*' | value | value '-' value) ('/' step)?     a step only after '*' or a range
 *     value := 1 to 4 ASCII digits, or a month's or weekday's English name, three letters or in full, any case
 *
 * A range whose start is greater than its end wraps around (`22-2`, `fri-mon`). A step counts along the expanded range. 0 and 7 are Sunday.
 * cron-parser does not see these texts: it refuses `monday`, `22-2` and `1,1`, and reads four fields as five.
 */
import { ScheduleError } from './schedule-error.ts'

export type CrontabField = 'minute' | 'hour' | 'dayOfWeek' | 'dayOfMonth' | 'monthOfYear'

/**
 * The sorted values of a field. `last`: true if the last day of the month is selected (day of month only). `full`: true if all
 * values are selected.
 */
export type FieldSet = { values: readonly number[]; last: boolean; full: boolean }

type FieldRule = { column: string; min: number; max: number; names: readonly string[]; accepts: string }

export const WEEKDAYS = ['Sunday', 'Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday'] as const
export const MONTHS = [
  'January',
  'February',
  'March',
  'April',
  'May',
  'June',
  'July',
  'August',
  'September',
  'October',
  'November',
  'December',
] as const

export const CRONTAB_FIELDS: Record<CrontabField, FieldRule> = {
  minute: { column: 'minute', min: 0, max: 59, names: [], accepts: '0-59' },
  hour: { column: 'hour', min: 0, max: 23, names: [], accepts: '0-23' },
  dayOfWeek: {
    column: 'day_of_week',
    min: 0,
    max: 6,
    names: WEEKDAYS,
    accepts: '0-7 (0 and 7 are Sunday) or names such as mon or monday',
  },
  dayOfMonth: { column: 'day_of_month', min: 1, max: 31, names: [], accepts: '1-31 or L (the last day)' },
  monthOfYear: { column: 'month_of_year', min: 1, max: 12, names: MONTHS, accepts: '1-12 or names such as jan or january' },
}

const MAX_LENGTH = 255
const PART = /^(?:(\*)|([0-9]{1,4}|[a-z]+)(?:-([0-9]{1,4}|[a-z]+))?)(?:\/([0-9]{1,4}))?$/i

/** Syntax that only other cron implementations accept, with a reason that is more helpful than "invalid". */
const FOREIGN: readonly [RegExp, string][] = [
  [/\?/, '"?" is Quartz syntax: write * instead'],
  [/#/, '"#" (the n-th weekday of a month) is not supported: write day_of_month 8-14 with a weekday and day_rule=and instead'],
  [/w$/i, '"W" (the nearest working day) is not supported'],
  [/^h(?:$|[/(])/i, '"H" is Jenkins syntax: write a number'],
]

const refuse = (rule: FieldRule, text: string, reason: string): never => {
  throw new ScheduleError(
    `${rule.column} "${text}": ${reason}. ${rule.column} takes ${rule.accepts}; lists 1,2, ranges 1-5, steps */2 or 1-5/2.`,
    {
      field: rule.column,
    },
  )
}

/** Reads one number or name. In the weekday field 7 stays 7 and does not become 0, because it is the end of `5-7`. */
const numberOf = (rule: FieldRule, raw: string, whole: string): number => {
  const isWeekday = rule.column === 'day_of_week'
  if (/^[0-9]/.test(raw)) {
    const value = Number(raw)
    const max = isWeekday ? 7 : rule.max
    return value >= rule.min && value <= max ? value : refuse(rule, whole, `${raw} is out of range`)
  }
  const name = raw.toLowerCase()
  const index = rule.names.findIndex((full) => full.toLowerCase() === name || full.slice(0, 3).toLowerCase() === name)
  return index >= 0
    ? index + rule.min
    : refuse(rule, whole, `"${raw}" is not ${rule.names.length > 0 ? 'a known name' : 'a number'}`)
}

const rangeOf = (rule: FieldRule, from: number, to: number): number[] => {
  const span = (start: number, end: number): number[] => Array.from({ length: end - start + 1 }, (_, index) => start + index)
  if (from <= to) return span(from, to)
  return from > rule.max ? [from, ...span(rule.min, to)] : [...span(from, rule.max), ...span(rule.min, to)]
}

const expandPart = (rule: FieldRule, part: string, whole: string): number[] => {
  if (part === '') return refuse(rule, whole, 'the list has an empty item')
  const foreign = FOREIGN.find(([pattern]) => pattern.test(part))
  if (foreign !== undefined) return refuse(rule, whole, foreign[1])
  const match = PART.exec(part)
  if (match === null) return refuse(rule, whole, `"${part}" is not a value, a range or a step`)
  const [, star, first, second, stepText] = match
  const from = star === undefined ? numberOf(rule, first!, whole) : rule.min
  const to = star === undefined ? (second === undefined ? from : numberOf(rule, second, whole)) : rule.max
  const range = rangeOf(rule, from, to)
  if (stepText === undefined) return range
  if (star === undefined && second === undefined)
    return refuse(rule, whole, `a step needs a range: write ${from}-${rule.max}/${stepText}`)
  const step = Number(stepText)
  const size = rule.max - rule.min + 1
  if (step < 1 || step > size)
    return refuse(rule, whole, `the step must be 1 to ${size}; for longer periods write an interval, such as 90 minutes`)
  return range.filter((_, index) => index % step === 0)
}

/** @returns the values that `text` selects @throws ScheduleError with the field, the value and the accepted syntax */
export const expandField = (field: CrontabField, text: string): FieldSet => {
  const rule = CRONTAB_FIELDS[field]
  if (text.length > MAX_LENGTH) return refuse(rule, `${text.slice(0, 20)}…`, `longer than ${MAX_LENGTH} characters`)
  if (text === '') return refuse(rule, text, 'empty')
  const values = new Set<number>()
  let last = false
  for (const part of text.split(',')) {
    if (field === 'dayOfMonth' && part.toUpperCase() === 'L') last = true
    else for (const value of expandPart(rule, part, text)) values.add(field === 'dayOfWeek' ? value % 7 : value)
  }
  const full = values.size === rule.max - rule.min + 1
  return { values: [...values].sort((a, b) => a - b), last: last && !full, full }
}
