/**
 * Schedules as people type them. Two traditions order the fields differently, and a text must never run at a time that nobody meant:
 *
 * | text | read as | day rule |
 * | `30 4` | minute hour | – |
 * | `0 9 * * 1-5` | five fields: crontab(5), minute hour day_of_month month day_of_week | or |
 * | `0 9 mon` | three or four: the guide's order, minute hour day_of_week day_of_month, unless crontab(5)'s differs: then refused | and |
 * | `minute=0 hour=9 day_of_week=mon-fri` | by name | and |
 * | `celery: 0 9 mon * *`, `crontab: 0 9 * * mon` | as the prefix says | and, or |
 * | `@hourly @daily @weekly @monthly @yearly` | crontab's macros | – |
 * | `15 minutes`, `every 2 hours` | an interval, counted from now | – |
 *
 * The day rule is Celery's `and` where fields have names or the guide's order, and crontab(5)'s `or` for a crontab line; `day_rule=and`
 * says it explicitly. A zone follows (`0 9 * * 1-5 Europe/Berlin`) or is named (`tz=Europe/Berlin`).
 */
import { type Crontab, createCrontab } from './crontab.ts'
import { CRONTAB_FIELDS, type CrontabField } from './crontab-fields.ts'
import { parseInterval } from './parse-interval.ts'
import { type SplitText, splitText } from './parse-options.ts'
import { parsePositional, type ReadOptions } from './parse-positional.ts'
import type { Schedule } from './schedule.ts'
import { ScheduleError } from './schedule-error.ts'
import { checkTimeZone } from './time-zone.ts'

const MACROS: Record<string, string> = {
  '@hourly': '0 * * * *',
  '@daily': '0 0 * * *',
  '@weekly': '0 0 * * 0',
  '@monthly': '0 0 1 * *',
  '@yearly': '0 0 1 1 *',
}
const NEAR_MACROS: Record<string, string> = {
  '@midnight': '@daily',
  '@annually': '@yearly',
  '@weekdays': '0 0 * * 1-5',
  '@weekends': '0 0 * * 0,6',
}

const parseMacro = (word: string, split: SplitText, options: ReadOptions): Crontab => {
  const name = word.toLowerCase()
  if (split.order === 'celery')
    throw new ScheduleError(`"${word}" belongs to crontab(5); write it without "celery:".`, { suggestions: [name] })
  if (split.words.length > 1)
    throw new ScheduleError(`"${split.words.slice(1).join(' ')}" after ${word} is not understood.`, { suggestions: [name] })
  if (Object.hasOwn(MACROS, name)) return parsePositional(MACROS[name]!.split(' '), 'crontab', options)
  const accepted = Object.keys(MACROS).join(' ')
  const reason = name === '@reboot' ? 'a database schedule has no start of the machine' : `accepted are ${accepted}`
  throw new ScheduleError(`"${word}": ${reason}.`, { suggestions: Object.hasOwn(NEAR_MACROS, name) ? [NEAR_MACROS[name]!] : [] })
}

const fieldNamed = (name: string): CrontabField | undefined => {
  const column = name === 'month' ? 'month_of_year' : name
  return (Object.keys(CRONTAB_FIELDS) as CrontabField[]).find((field) => CRONTAB_FIELDS[field].column === column)
}

const parseNamed = ({ words, order, dayRule }: SplitText, { timezone, typed }: ReadOptions): Crontab => {
  if (order !== undefined)
    throw new ScheduleError(`Named fields have no order: leave out "${order}:".`, {
      suggestions: [[...words, ...typed].join(' ')],
    })
  const accepted = Object.values(CRONTAB_FIELDS)
    .map(({ column }) => column)
    .join(', ')
  const fields: Partial<Record<CrontabField, string>> = {}
  for (const word of words) {
    const [, name = '', value = ''] = /^([^=]*)=(.*)$/.exec(word) ?? []
    if (name === '')
      throw new ScheduleError(`"${word}": named fields and fields by position do not mix; write ${accepted} as name=value.`)
    const field = fieldNamed(name.toLowerCase())
    if (field === undefined) throw new ScheduleError(`"${name}" is not a field: accepted are ${accepted}, timezone and day_rule.`)
    if (fields[field] !== undefined) throw new ScheduleError(`${name} is given twice.`, { field: CRONTAB_FIELDS[field].column })
    fields[field] = value
  }
  if (fields.hour !== undefined && fields.minute === undefined) {
    // Celery's crontab(hour=11) runs sixty times: the commonest accident of its users (django-celery#436).
    throw new ScheduleError('An hour without a minute runs every minute of it: name the minute too.', {
      field: 'minute',
      suggestions: ['minute=0', 'minute=*'].map((minute) => [minute, ...words, ...typed].join(' ')),
    })
  }
  return createCrontab(fields, { dayRule: dayRule ?? 'and', timezone })
}

/** A time of day or an English adverb: not accepted, but what is meant is clear. */
const meantByOneWord = (word: string): string | undefined => {
  const time = /^([01]?[0-9]|2[0-3]):([0-5][0-9])$/.exec(word)
  if (time !== null) return `${Number(time[2])} ${Number(time[1])}`
  return Object.hasOwn(MACROS, `@${word.toLowerCase()}`) ? `@${word.toLowerCase()}` : undefined
}

const parseWords = (split: SplitText, options: ReadOptions, now: Date): Schedule => {
  const { words, order } = split
  const [first = ''] = words
  if (first.startsWith('@')) return parseMacro(first, split, options)
  if (words.some((word) => word.includes('='))) return parseNamed(split, options)
  const interval = order === 'crontab' ? undefined : parseInterval(words, now)
  if (interval !== undefined && split.options.length > 0) {
    throw new ScheduleError(
      `"${split.options.join(' ')}": an interval counts elapsed time, so it has no time zone and no day rule.`,
      {
        suggestions: [words.join(' ')],
      },
    )
  }
  if (interval !== undefined) return interval
  const meant = words.length === 1 ? meantByOneWord(first) : undefined
  if (meant !== undefined)
    throw new ScheduleError(`"${first}" is not a schedule. Did you mean "${meant}"?`, { suggestions: [meant] })
  return parsePositional(words, order, options)
}

/**
 * Reads a schedule that a person typed. `timezone` is the zone of a crontab that names none; `now` becomes the anchor of an interval.
 * @throws ScheduleError (SCHEDULE_INVALID) that says what is wrong and where; its `suggestions` are texts that are accepted.
 */
export const parseSchedule = (text: string, { timezone, now }: { timezone: string; now: Date }): Schedule => {
  const split = splitText(text)
  if (split.words.length === 0)
    throw new ScheduleError('The schedule is empty: write two fields (minute hour), five fields, or an interval.')
  const options = { timezone: checkTimeZone(split.timezone ?? timezone), dayRule: split.dayRule, typed: split.options }
  return parseWords(split, options, now)
}
