/** Splits off the words of a schedule's text that are not fields: prefix, time zone and day rule. */
import type { DayRule } from './crontab.ts'
import { MONTHS, WEEKDAYS } from './crontab-fields.ts'
import { ScheduleError } from './schedule-error.ts'
import { isTimeZone } from './time-zone.ts'

/**
 * The order of the crontab fields. `celery:` means minute hour day_of_week day_of_month month; `crontab:` means the order of
 * crontab(5).
 */
export type FieldOrder = 'celery' | 'crontab'

export type SplitText = {
  order: FieldOrder | undefined
  /** The words that remain: fields, `name=value` fields, or the words of an interval. */
  words: string[]
  timezone: string | undefined
  dayRule: DayRule | undefined
  /** The options as a person typed them. Suggestions repeat them. */
  options: string[]
}

/** Kubernetes and cronie write `CRON_TZ=` before the fields. */
const TIME_ZONE_OPTION = /^(?:tz|timezone|cron_tz)=(.*)$/i
const DAY_RULE_OPTION = /^day_rule=(.*)$/i
/**
 * Matches Europe/Berlin, America/Argentina/Ushuaia, Etc/GMT+5. Does not match a crontab field, because its slash is followed by
 * a digit.
 */
const PLACE = /^[A-Za-z_]+(?:\/[A-Za-z][A-Za-z0-9_+-]*)+$/
const MAX_LENGTH = 1_500

const isName = (word: string): boolean =>
  [...WEEKDAYS, ...MONTHS].some((name) => name.toLowerCase().startsWith(word.toLowerCase()) && word.length >= 3)

/**
 * Returns true if the last word can be a zone without `tz=`: a place name, or a word such as UTC that is neither a weekday nor a
 * month.
 */
const isZoneWord = (word: string): boolean =>
  PLACE.test(word) || (/^[A-Za-z]{3,}$/.test(word) && !isName(word) && isTimeZone(word))

const dayRuleOf = (value: string): DayRule => {
  const rule = value.toLowerCase()
  if (rule === 'and' || rule === 'or') return rule
  throw new ScheduleError(`day_rule "${value}": accepted are and, or.`, { field: 'day_rule' })
}

/**
 * Splits a schedule's text into options and remaining words.
 * @throws ScheduleError if the text is too long, an option occurs twice, or the day rule is neither `and` nor `or`
 */
export const splitText = (text: string): SplitText => {
  if (text.length > MAX_LENGTH) throw new ScheduleError(`The schedule is longer than ${MAX_LENGTH} characters.`)
  const prefix = /^\s*(celery|crontab):/i.exec(text)
  const split: SplitText = {
    order: prefix === null ? undefined : (prefix[1]!.toLowerCase() as FieldOrder),
    words: [],
    timezone: undefined,
    dayRule: undefined,
    options: [],
  }
  const all = text
    .slice(prefix?.[0].length ?? 0)
    .split(/\s+/)
    .filter(Boolean)
  for (const [index, word] of all.entries()) {
    const zone =
      TIME_ZONE_OPTION.exec(word)?.[1] ?? (index > 0 && index === all.length - 1 && isZoneWord(word) ? word : undefined)
    const rule = DAY_RULE_OPTION.exec(word)?.[1]
    if (zone === undefined && rule === undefined) {
      split.words.push(word)
      continue
    }
    if (zone !== undefined ? split.timezone !== undefined : split.dayRule !== undefined) {
      throw new ScheduleError(
        `"${word}": ${zone === undefined ? 'this is a second day rule' : 'this is a second time zone'}; write one.`,
      )
    }
    if (zone === undefined) split.dayRule = dayRuleOf(rule!)
    else split.timezone = zone
    split.options.push(word)
  }
  return split
}
