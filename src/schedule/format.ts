/** A schedule as the text that `parseSchedule` reads back to the same schedule (an interval's anchor aside). */
import { type Crontab, crontabSets } from './crontab.ts'
import { CRONTAB_FIELDS, type CrontabField } from './crontab-fields.ts'
import type { Interval } from './interval.ts'
import type { Schedule } from './schedule.ts'

const CRONTAB_ORDER = ['minute', 'hour', 'dayOfMonth', 'monthOfYear', 'dayOfWeek'] as const satisfies CrontabField[]

/** `mon-fri` is one field; a space in it would move the others. Fields are validated, so they hold none. */
const fiveFields = (crontab: Crontab): string => CRONTAB_ORDER.map((field) => crontab[field]).join(' ')

/** Whether both day fields are restricted, so that `and` and `or` differ. */
export const dayRuleMatters = (crontab: Crontab): boolean => {
  const { dayOfMonth, dayOfWeek } = crontabSets(crontab)
  return !dayOfMonth.full && !dayOfWeek.full
}

/** Five fields in crontab(5) order, with `day_rule=and` where its reading would be another one; no zone. */
export const crontabLine = (crontab: Crontab): string =>
  crontab.dayRule === 'and' && dayRuleMatters(crontab) ? `${fiveFields(crontab)} day_rule=and` : fiveFields(crontab)

/** `minute=0 hour=9 day_of_week=mon-fri …`: every field by its name, as it is stored, zone included. */
export const namedFields = (crontab: Crontab): string => {
  const fields = CRONTAB_ORDER.map((field) => `${CRONTAB_FIELDS[field].column}=${crontab[field]}`)
  return [...fields, `day_rule=${crontab.dayRule}`, `timezone=${crontab.timezone}`].join(' ')
}

const intervalText = ({ every, period }: Interval): string => `${every} ${every === 1 ? period.slice(0, -1) : period}`

/** Canonical text: `0 9 * * 1-5 Europe/Berlin`, `15 minutes`; a clocked schedule is its ISO instant, which is not read back. */
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
