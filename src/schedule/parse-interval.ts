/**
 * Parses `15 minutes`, `every 2 hours`, `every day`. The periods are Celery's, singular or plural. The interval counts from
 * `now`.
 */
import { createInterval, type Interval, PERIODS, type Period } from './interval.ts'
import { ScheduleError } from './schedule-error.ts'

/** Short names of periods, which are refused. The error suggests the full name. */
const SHORT: Record<string, { period: Period; times: number }> = {
  d: { period: 'days', times: 1 },
  h: { period: 'hours', times: 1 },
  hr: { period: 'hours', times: 1 },
  hrs: { period: 'hours', times: 1 },
  m: { period: 'minutes', times: 1 },
  min: { period: 'minutes', times: 1 },
  mins: { period: 'minutes', times: 1 },
  s: { period: 'seconds', times: 1 },
  sec: { period: 'seconds', times: 1 },
  secs: { period: 'seconds', times: 1 },
  us: { period: 'microseconds', times: 1 },
  ms: { period: 'microseconds', times: 1000 },
  millisecond: { period: 'microseconds', times: 1000 },
  w: { period: 'days', times: 7 },
  week: { period: 'days', times: 7 },
  fortnight: { period: 'days', times: 14 },
}
const SMALLER: Partial<Record<Period, { period: Period; times: number }>> = {
  days: { period: 'hours', times: 24 },
  hours: { period: 'minutes', times: 60 },
  minutes: { period: 'seconds', times: 60 },
  seconds: { period: 'microseconds', times: 1_000_000 },
}

const periodOf = (word: string): Period | undefined => PERIODS.find((period) => period === word || period.slice(0, -1) === word)

const shortFor = (word: string): { period: Period; times: number } | undefined =>
  Object.hasOwn(SHORT, word)
    ? SHORT[word]
    : word.endsWith('s') && Object.hasOwn(SHORT, word.slice(0, -1))
      ? SHORT[word.slice(0, -1)]
      : undefined

const refuse = (text: string, reason: string, suggestion?: string): never => {
  const meant = suggestion === undefined ? '' : ` Did you mean "${suggestion}"?`
  throw new ScheduleError(`interval "${text}": ${reason}.${meant}`, { suggestions: suggestion === undefined ? [] : [suggestion] })
}

const isValid = (every: number, period: Period): boolean => {
  try {
    createInterval(every, period, new Date(0))
    return true
  } catch {
    return false
  }
}

/** Returns a valid interval text for `count` units. Uses a smaller unit for a fraction: 1.5 hours becomes 90 minutes. */
const wholeText = (count: number, unit: { period: Period; times: number }): string | undefined => {
  const exact = count * unit.times
  if (isValid(exact, unit.period)) return `${exact} ${exact === 1 ? unit.period.slice(0, -1) : unit.period}`
  const smaller = SMALLER[unit.period]
  return smaller === undefined || Number.isInteger(exact) ? undefined : wholeText(exact * smaller.times, { ...smaller, times: 1 })
}

/**
 * Splits the words of an interval into count and unit. Undefined if the text is not an interval: an interval begins with `every`, has
 * letters in its second word where a crontab has the hour, or is one word such as `90s`.
 */
const intervalWords = (words: readonly string[]): { count: string; unit: string; rest: readonly string[] } | undefined => {
  const lower = words.map((word) => word.toLowerCase())
  const [first = '', second = ''] = lower
  if (first === 'every') {
    const joined = /^([0-9.]+)([a-z]+)$/.exec(second)
    if (joined !== null) return { count: joined[1]!, unit: joined[2]!, rest: lower.slice(2) }
    if (/^[a-z]+$/.test(second)) return { count: '1', unit: second, rest: lower.slice(2) }
    return { count: second, unit: lower[2] ?? '', rest: lower.slice(3) }
  }
  const joined = /^([0-9.]+)([a-z]+)$/.exec(first)
  if (joined !== null && words.length === 1) return { count: joined[1]!, unit: joined[2]!, rest: [] }
  return /^[a-zµ]+$/.test(second) ? { count: first, unit: second, rest: lower.slice(2) } : undefined
}

/**
 * Parses the words of an interval.
 * @returns undefined if the text is not an interval
 * @throws ScheduleError if it is an interval that is not valid
 */
export const parseInterval = (words: readonly string[], now: Date): Interval | undefined => {
  const found = intervalWords(words)
  if (found === undefined) return undefined
  const { count, unit, rest } = found
  const text = words.join(' ')
  const period = periodOf(unit)
  const meant = period === undefined ? shortFor(unit) : { period, times: 1 }
  const suggestion = meant === undefined ? undefined : wholeText(Number(count), meant)
  if (period === undefined) return refuse(text, `"${unit}" is not a period; periods are ${PERIODS.join(', ')}`, suggestion)
  if (!/^[0-9]+$/.test(count)) return refuse(text, `"${count}" is not a whole number of ${period}, written in digits`, suggestion)
  if (Number(count) === 0) return refuse(text, 'the count must be greater than zero')
  if (rest.length > 0) return refuse(text, `"${rest.join(' ')}" after the period is not understood`, suggestion)
  const isJoined = !words.some((word) => word.toLowerCase() === unit)
  return isJoined
    ? refuse(text, 'write a space between number and period', suggestion)
    : createInterval(Number(count), period, now)
}
