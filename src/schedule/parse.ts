/**
 * Parses schedules as people type them. crontab(5) and Celery order the fields differently, so an ambiguous text is refused:
 *
 * | text | read as | day rule |
 * | `30 4` | minute hour | – |
 * | `0 9 * * 1-5` | five fields: crontab(5), minute hour day_of_month month day_of_week | or |
 * | `0 9 mon` | three or four fields: Celery's order, minute hour day_of_week day_of_month; refused if crontab(5) reads another schedule | and |
 * | `minute=0 hour=9 day_of_week=mon-fri` | by name | and |
 * | `celery: 0 9 mon * *`, `crontab: 0 9 * * mon` | in the order of the prefix | and, or |
 * | `@hourly @daily @weekly @monthly @yearly` | macros of crontab(5) | – |
 * | `15 minutes`, `every 2 hours` | an interval, counted from now | – |
 *
 * The day rule is Celery's `and` for named fields and for Celery's order, and `or` for a crontab line; `day_rule=` overrides it. A time
 * zone is the last word (`0 9 * * 1-5 Europe/Berlin`) or is named (`tz=Europe/Berlin`).
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
    throw new ScheduleError(`"${word}" is a macro of crontab(5); write it without "celery:".`, { suggestions: [name] })
  if (split.words.length > 1)
    throw new ScheduleError(`"${split.words.slice(1).join(' ')}" after ${word} is not understood.`, { suggestions: [name] })
  if (Object.hasOwn(MACROS, name)) return parsePositional(MACROS[name]!.split(' '), 'crontab', options)
  const accepted = Object.keys(MACROS).join(' ')
  const reason = name === '@reboot' ? 'a schedule cannot run at machine start' : `accepted are ${accepted}`
  throw new ScheduleError(`"${word}": ${reason}.`, { suggestions: Object.hasOwn(NEAR_MACROS, name) ? [NEAR_MACROS[name]!] : [] })
}

const fieldNamed = (name: string): CrontabField | undefined => {
  const column = name === 'month' ? 'month_of_year' : name
  return (Object.keys(CRONTAB_FIELDS) as CrontabField[]).find((field) => CRONTAB_FIELDS[field].column === column)
}

const parseNamed = ({ words, order, dayRule }: SplitText, { timezone, typed }: ReadOptions): Crontab => {
  if (order !== undefined)
    throw new ScheduleError(`Named fields have no order: remove "${order}:".`, {
      suggestions: [[...words, ...typed].join(' ')],
    })
  const accepted = Object.values(CRONTAB_FIELDS)
    .map(({ column }) => column)
    .join(', ')
  const fields: Partial<Record<CrontabField, string>> = {}
  for (const word of words) {
    const [, name = '', value = ''] = /^([^=]*)=(.*)$/.exec(word) ?? []
    if (name === '')
      throw new ScheduleError(`"${word}": named and positional fields cannot be mixed; write ${accepted} as name=value.`)
    const field = fieldNamed(name.toLowerCase())
    if (field === undefined) throw new ScheduleError(`"${name}" is not a field: accepted are ${accepted}, timezone and day_rule.`)
    if (fields[field] !== undefined) throw new ScheduleError(`${name} is given twice.`, { field: CRONTAB_FIELDS[field].column })
    fields[field] = value
  }
  if (fields.hour !== undefined && fields.minute === undefined) {
    // In Celery, crontab(hour=11) runs sixty times, which is a common mistake (celery/django-celery issue 436).
    throw new ScheduleError('An hour without a minute runs every minute of that hour: name the minute too.', {
      field: 'minute',
      suggestions: ['minute=0', 'minute=*'].map((minute) => [minute, ...words, ...typed].join(' ')),
    })
  }
  return createCrontab(fields, { dayRule: dayRule ?? 'and', timezone })
}

/** Returns a schedule text that has the meaning of a single refused word: a time of day such as `09:00`, or a word such as `daily`. */
const meaningOfWord = (word: string): string | undefined => {
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
  const meant = words.length === 1 ? meaningOfWord(first) : undefined
  if (meant !== undefined)
    throw new ScheduleError(`"${first}" is not a schedule. Did you mean "${meant}"?`, { suggestions: [meant] })
  return parsePositional(words, order, options)
}

/**
 * Parses a schedule that a person typed. `timezone` applies to a crontab without a zone; `now` becomes the anchor of an interval.
 * @throws ScheduleError (SCHEDULE_INVALID) with the reason and the field; its `suggestions` are texts that are accepted
 */
export const parseSchedule = (text: string, { timezone, now }: { timezone: string; now: Date }): Schedule => {
  const split = splitText(text)
  if (split.words.length === 0)
    throw new ScheduleError('The schedule is empty: write two fields (minute hour), five fields, or an interval.')
  const options = { timezone: checkTimeZone(split.timezone ?? timezone), dayRule: split.dayRule, typed: split.options }
  return parseWords(split, options, now)
}
