/**
 * Describes a schedule in plain English. Works on the sets of values and not on the text, so `22-2`, `mon` and `0-30,15` need no
 * special code. (The package cronstrue always joins the two day fields with OR.)
 */
import { type Crontab, crontabSets, type DayRule } from './crontab.ts'
import { type FieldSet, MONTHS, WEEKDAYS } from './crontab-fields.ts'
import type { Interval } from './interval.ts'
import type { Schedule } from './schedule.ts'
import type { CrontabSets } from './wall-clock.ts'

/** Up to this number of times of day, a description lists each time. */
const MAX_TIMES = 6

const two = (value: number): string => String(value).padStart(2, '0')

const listInWords = (items: readonly string[]): string =>
  items.length < 2 ? items.join('') : `${items.slice(0, -1).join(', ')} and ${items.at(-1)}`

const isRun = (values: readonly number[]): boolean =>
  values.every((value, index) => index === 0 || value === values[index - 1]! + 1)

/** Rotates the values so that they begin after a gap. November to February, or Friday to Sunday, then is one run. */
const unwrapped = (values: readonly number[], min: number, max: number): number[] => {
  if (values.length < 2 || values[0] !== min || values.at(-1) !== max) return [...values]
  const hole = values.findIndex((value, index) => index > 0 && value !== values[index - 1]! + 1)
  return hole < 0 ? [...values] : [...values.slice(hole), ...values.slice(0, hole)]
}

/** Writes a run of three or more values as `a to b`, and lists the values of shorter runs. */
const runsInWords = (values: readonly number[], name: (value: number) => string, size?: number): string[] => {
  const words: string[] = []
  for (let start = 0; start < values.length; ) {
    let end = start
    const follows = (a: number, b: number): boolean => b === (size === undefined ? a + 1 : (a + 1) % size)
    while (end + 1 < values.length && follows(values[end]!, values[end + 1]!)) end += 1
    if (end - start >= 2) words.push(`${name(values[start]!)} to ${name(values[end]!)}`)
    else for (const value of values.slice(start, end + 1)) words.push(name(value))
    start = end + 1
  }
  return words
}

/** Returns the distance between values if there are at least `least` and they are evenly spaced; otherwise undefined. */
const stepOf = (values: readonly number[], least: number): number | undefined => {
  const step = values.length >= least ? values[1]! - values[0]! : 0
  return step > 1 && values.every((value, index) => value === values[0]! + index * step) ? step : undefined
}

/** Returns the distance if the values begin at 0 and divide the whole circle evenly, such as minutes 0, 15, 30, 45. */
const evenStep = ({ values }: FieldSet, size: number): number | undefined => {
  const step = stepOf(values, 2)
  return step !== undefined && values[0] === 0 && step * values.length === size ? step : undefined
}

const minutesInWords = (minute: FieldSet): string => {
  const even = evenStep(minute, 60)
  if (minute.full) return 'every minute'
  if (even !== undefined) return `every ${even} minutes`
  const step = stepOf(minute.values, 5)
  if (step !== undefined) return `every ${step} minutes from minute ${minute.values[0]} to ${minute.values.at(-1)}`
  return `at minute${minute.values.length > 1 ? 's' : ''} ${listInWords(runsInWords(minute.values, String))}`
}

/** Describes more than a few times within one hour: `every 15 minutes from 03:00 to 03:45`. */
const oneHourInWords = ({ values }: FieldSet, hour: number): string => {
  const step = isRun(values) ? 1 : stepOf(values, 3)
  const time = (minute: number): string => `${two(hour)}:${two(minute)}`
  if (step === undefined) return `at ${listInWords(values.map(time))}`
  return `every ${step === 1 ? 'minute' : `${step} minutes`} from ${time(values[0]!)} to ${time(values.at(-1)!)}`
}

const perHour = (minute: FieldSet, words: string): string =>
  minute.full || evenStep(minute, 60) !== undefined ? minutesInWords(minute) : `${minutesInWords(minute)} ${words}`

/** Describes restricted hours with more times than can be listed. */
const spanInWords = (minute: FieldSet, hour: FieldSet): string => {
  if (hour.values.length === 1) return oneHourInWords(minute, hour.values[0]!)
  const hours = unwrapped(hour.values, 0, 23)
  const single = minute.values.length === 1 ? minute.values[0]! : undefined
  const even = evenStep(hour, 24)
  if (single !== undefined && even !== undefined) return `every ${even} hours from 00:${two(single)}`
  const runs = runsInWords(hours, two, 24)
  const [start, end] = [two(hours[0]!), two(hours.at(-1)!)]
  if (single !== undefined && runs.length === 1) return `every hour from ${start}:${two(single)} to ${end}:${two(single)}`
  const minutes = perHour(minute, 'of each hour')
  return runs.length === 1 ? `${minutes} from ${start}:00 to ${end}:59` : `${minutes} in the hours ${listInWords(runs)}`
}

const timeInWords = ({ minute, hour }: CrontabSets): string => {
  const single = minute.values.length === 1 ? minute.values[0]! : undefined
  if (hour.full && single === 0) return 'every hour, on the hour'
  if (hour.full && single !== undefined) return `every hour, ${single} minute${single === 1 ? '' : 's'} past`
  if (hour.full) return perHour(minute, 'of every hour')
  const times = hour.values.flatMap((h) => minute.values.map((m) => `${two(h)}:${two(m)}`))
  return times.length <= MAX_TIMES ? `at ${listInWords(times)}` : spanInWords(minute, hour)
}

const ordinal = (day: number): string => {
  const suffix = day % 100 >= 11 && day % 100 <= 13 ? 'th' : (['th', 'st', 'nd', 'rd'][day % 10] ?? 'th')
  return `${day}${suffix}`
}

const monthDaysInWords = ({ values, last }: FieldSet): string => {
  const step = stepOf(values, 5)
  const days =
    step === undefined
      ? runsInWords(values, ordinal).map((days) => `the ${days}`)
      : [`every ${ordinal(step)} day from the ${ordinal(values[0]!)} to the ${ordinal(values.at(-1)!)}`]
  return listInWords(last ? [...days, 'the last day'] : days)
}

const weekdaysInWords = ({ values }: FieldSet): string => {
  const inWords = (days: readonly number[]): string[] => runsInWords(days, (day) => WEEKDAYS[day]!, 7)
  const plain = inWords([...values.filter((day) => day > 0), ...values.filter((day) => day === 0)])
  // The list of weekdays begins on Monday, unless a run crosses the end of the week, such as Saturday to Monday.
  const rotated = inWords(unwrapped(values, 0, 6))
  return listInWords(rotated.length < plain.length ? rotated : plain)
}

const monthsInWords = ({ values }: FieldSet): string =>
  listInWords(
    runsInWords(
      unwrapped(values, 1, 12).map((month) => month - 1),
      (month) => MONTHS[month]!,
      12,
    ),
  )

const dateInWords = (sets: CrontabSets, dayRule: DayRule): string => {
  const { dayOfMonth, dayOfWeek, monthOfYear } = sets
  const inMonths = monthOfYear.full ? '' : ` in ${monthsInWords(monthOfYear)}`
  const ofMonths = ` of ${monthOfYear.full ? 'every month' : monthsInWords(monthOfYear)}`
  if (dayOfMonth.full && dayOfWeek.full) return `${sets.hour.full ? '' : ' every day'}${inMonths}`
  if (dayOfMonth.full) return ` on ${weekdaysInWords(dayOfWeek)}${inMonths}`
  const monthDays = `${monthDaysInWords(dayOfMonth)}${ofMonths}`
  if (dayOfWeek.full) return ` on ${monthDays}`
  return dayRule === 'and'
    ? ` on ${weekdaysInWords(dayOfWeek)}, but only if it is also ${monthDays}`
    : ` on ${monthDays}, and also on every ${weekdaysInWords(dayOfWeek)}${inMonths}`
}

const crontabInWords = (crontab: Crontab): string => {
  const sets = crontabSets(crontab)
  return `${timeInWords(sets)}${dateInWords(sets, crontab.dayRule)} (${crontab.timezone})`
}

/** Returns a text such as `2026-11-22 18:00 UTC`. Seconds and milliseconds appear only if they are not zero. */
const instantInWords = (at: Date): string => {
  const [date, time] = at.toISOString().split('T') as [string, string]
  return `${date} ${time.replace(/(?::00)?\.000Z$|Z$/, '')} UTC`
}

const intervalInWords = ({ every, period, anchor }: Interval): string => {
  const length = every === 1 ? period.slice(0, -1) : `${every} ${period}`
  return `every ${length}, counted from ${instantInWords(anchor)}`
}

/**
 * Returns a text such as `at 09:00 on Monday to Friday (Europe/Berlin)`: the times, the days, how the two day fields join, and
 * the zone.
 */
export const describeSchedule = (schedule: Schedule): string => {
  switch (schedule.kind) {
    case 'crontab':
      return crontabInWords(schedule)
    case 'interval':
      return intervalInWords(schedule)
    case 'clocked':
      return `once, at ${instantInWords(schedule.at)}`
    default:
      return schedule satisfies never
  }
}
