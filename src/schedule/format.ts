/**
 * Formats a schedule as a text that `parseSchedule` reads as the same schedule. The text does not contain an interval's anchor.
 */
import { type Crontab, crontabSets } from './crontab.ts'
import type { CrontabField } from './crontab-fields.ts'
import type { Interval } from './interval.ts'
import type { Schedule } from './schedule.ts'

const CRONTAB_ORDER = ['minute', 'hour', 'dayOfMonth', 'monthOfYear', 'dayOfWeek'] as const satisfies CrontabField[]

/** Returns the five fields. They contain no spaces, because they are validated; a space would shift the fields behind it. */
const fiveFields = (crontab: Crontab): string => CRONTAB_ORDER.map((field) => crontab[field]).join(' ')

/** Returns true if both day fields are restricted, so that `and` and `or` give different schedules. */
const dayRuleMatters = (crontab: Crontab): boolean => {
  const { dayOfMonth, dayOfWeek } = crontabSets(crontab)
  return !dayOfMonth.full && !dayOfWeek.full
}

/**
 * Returns the five fields in crontab(5) order, without the zone. Adds `day_rule=and` if the five fields alone would mean `or`.
 */
export const crontabLine = (crontab: Crontab): string =>
  crontab.dayRule === 'and' && dayRuleMatters(crontab) ? `${fiveFields(crontab)} day_rule=and` : fiveFields(crontab)

const intervalText = ({ every, period }: Interval): string => `${every} ${every === 1 ? period.slice(0, -1) : period}`

/**
 * Returns the canonical text, such as `0 9 * * 1-5 Europe/Berlin` or `15 minutes`. A clocked schedule becomes an ISO instant,
 * which `parseSchedule` does not read.
 */
export const formatSchedule = (schedule: Schedule): string => {
  switch (schedule.kind) {
    case 'crontab':
      return `${crontabLine(schedule)} ${schedule.timezone}`
    case 'interval':
      return intervalText(schedule)
    case 'clocked':
      return schedule.at.toISOString()
    default:
      return schedule satisfies never
  }
}
