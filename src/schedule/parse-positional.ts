/** Parses crontab fields by position. Refuses a text if its field order is ambiguous. */
import { type Crontab, createCrontab, crontabSets, type DayRule } from './crontab.ts'
import type { CrontabField } from './crontab-fields.ts'
import { describeSchedule } from './describe.ts'
import { crontabLine } from './format.ts'
import type { FieldOrder } from './parse-options.ts'
import { ScheduleError } from './schedule-error.ts'
import { checkTimeZone } from './time-zone.ts'

export type ReadOptions = {
  timezone: string
  /** The value of `day_rule=`. If it is undefined, the field order decides. */
  dayRule: DayRule | undefined
  /** The options as a person typed them. Suggestions repeat them. */
  typed: readonly string[]
}

const ORDERS: Record<FieldOrder, readonly CrontabField[]> = {
  celery: ['minute', 'hour', 'dayOfWeek', 'dayOfMonth', 'monthOfYear'],
  crontab: ['minute', 'hour', 'dayOfMonth', 'monthOfYear', 'dayOfWeek'],
}
const ORDER_NAMES: Record<FieldOrder, string> = {
  celery: 'minute hour day_of_week day_of_month month',
  crontab: 'minute hour day_of_month month day_of_week',
}

const read = (words: readonly string[], order: FieldOrder, { timezone, dayRule }: ReadOptions): Crontab => {
  const fields: Partial<Record<CrontabField, string>> = {}
  for (const [index, word] of words.entries()) fields[ORDERS[order][index]!] = word
  return createCrontab(fields, { dayRule: dayRule ?? (order === 'celery' ? 'and' : 'or'), timezone })
}

/** Returns the crontab that `read` returns, or the error that it throws. */
const tryRead = (words: readonly string[], order: FieldOrder, options: ReadOptions): Crontab | ScheduleError => {
  try {
    return read(words, order, options)
  } catch (error) {
    if (error instanceof ScheduleError) return error
    throw error
  }
}

/** Returns five fields with the typed options. The crontab line contains the day rule if the day rule matters. */
const spelling = (crontab: Crontab, { typed }: ReadOptions): string =>
  [crontabLine(crontab), ...typed.filter((option) => !/^day_rule=/i.test(option))].join(' ')

const isSame = (a: Crontab, b: Crontab): boolean => {
  const [left, right] = [crontabSets(a), crontabSets(b)]
  const fields = Object.keys(left) as CrontabField[]
  return fields.every(
    (field) => left[field].values.join() === right[field].values.join() && left[field].last === right[field].last,
  )
}

const offer = (crontab: Crontab, options: ReadOptions): string => `"${spelling(crontab, options)}" (${describeSchedule(crontab)})`

/** Reads three or four fields. Refuses them if the two field orders give different schedules. */
const readShort = (words: readonly string[], options: ReadOptions): Crontab => {
  const celery = tryRead(words, 'celery', options)
  const crontab = tryRead(words, 'crontab', options)
  if (crontab instanceof ScheduleError) {
    if (celery instanceof ScheduleError) throw celery
    return celery
  }
  const text = words.join(' ')
  if (celery instanceof ScheduleError) {
    throw new ScheduleError(
      `"${text}": ${celery.message} In the order of crontab(5) it is ${offer(crontab, options)}: write all five fields.`,
      {
        ...(celery.field === undefined ? {} : { field: celery.field }),
        suggestions: [spelling(crontab, options)],
        cause: celery,
      },
    )
  }
  if (isSame(celery, crontab)) return celery
  throw new ScheduleError(
    `"${text}" can mean ${offer(celery, options)} or ${offer(crontab, options)}. Write all five fields: ${ORDER_NAMES.crontab}.`,
    { suggestions: [spelling(celery, options), spelling(crontab, options)] },
  )
}

/** Reads five fields as a crontab line. If they are valid only in Celery's order, the error suggests the same schedule as a crontab line. */
const readFive = (words: readonly string[], options: ReadOptions): Crontab => {
  const crontab = tryRead(words, 'crontab', options)
  if (!(crontab instanceof ScheduleError)) return crontab
  const celery = tryRead(words, 'celery', options)
  if (celery instanceof ScheduleError) throw crontab
  throw new ScheduleError(`${crontab.message} Five fields are ${ORDER_NAMES.crontab}. Did you mean ${offer(celery, options)}?`, {
    ...(crontab.field === undefined ? {} : { field: crontab.field }),
    suggestions: [spelling(celery, options)],
    cause: crontab,
  })
}

const refuseCount = (words: readonly string[], options: ReadOptions): never => {
  const text = words.join(' ')
  // In `0 9 * * 1-5 Berlin` the last word is meant as a zone. checkTimeZone throws an error with suggestions.
  if (words.length === 6 && /^[+-]|^[a-z]{4}/i.test(words[5]!)) checkTimeZone(words[5]!)
  if (words.length === 6 && words[0] === '0') {
    const line = tryRead(words.slice(1), 'crontab', options)
    const suggestions = line instanceof ScheduleError ? [] : [spelling(line, options)]
    throw new ScheduleError(`"${text}": six fields, the first for seconds, are not supported: leave the seconds out.`, {
      suggestions,
    })
  }
  const seconds = words.length === 6 ? ' For seconds write an interval, such as 10 seconds.' : ''
  throw new ScheduleError(
    `"${text}": ${words.length} field${words.length === 1 ? '' : 's'}. A schedule is two fields (minute hour), five fields (${ORDER_NAMES.crontab}), or an interval such as 15 minutes.${seconds}`,
  )
}

/**
 * Parses fields by position.
 * @throws ScheduleError if a field is not valid, the number of fields is wrong, or the two field orders give different schedules
 * (`suggestions` has both)
 */
export const parsePositional = (words: readonly string[], order: FieldOrder | undefined, options: ReadOptions): Crontab => {
  if (words.length < 2 || words.length > 5) return refuseCount(words, options)
  if (order === 'crontab' && words.length !== 5) {
    throw new ScheduleError(`"${words.join(' ')}": a crontab line needs five fields: ${ORDER_NAMES.crontab}.`)
  }
  if (order !== undefined) return read(words, order, options)
  if (words.length === 2) return read(words, 'celery', options)
  return words.length === 5 ? readFive(words, options) : readShort(words, options)
}
