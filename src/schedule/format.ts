/** Formats a schedule as text that `parseSchedule` reads as the same schedule. The text lacks an interval's anchor. */
import { type Crontab, crontabSets } from './crontab.ts'
import type { CrontabField } from './crontab-fields.ts'
import type { Interval } from './interval.ts'
import type { Schedule } from './schedule.ts'

const CRONTAB_ORDER = ['minute', 'hour', 'dayOfMonth', 'monthOfYear', 'dayOfWeek'] as const satisfies CrontabField[]

/** Fields contain no spaces, because they are validated. A space would shift the fields behind it. */
const fiveFields = (crontab: Crontab): string => CRONTAB_ORDER.map((field) => crontab[field]).join(' ')

/** True if both day fields are restricted, so that `and` and `or` differ. */
const dayRuleMatters = (crontab: Crontab): boolean => {
  const { dayOfMonth, dayOfWeek } = crontabSets(crontab)
  return !dayOfMonth.full && !dayOfWeek.full
}

/** Five fields in crontab(5) order, without the zone. Has `day_rule=and` if the text alone would mean `or`. */
export const crontabLine = (crontab: Crontab): string =>
  crontab.dayRule === 'and' && dayRuleMatters(crontab) ? `${fiveFields(crontab)} day_rule=and` : fiveFields(crontab)

const intervalText = ({ every, period }: Interval): string => `${every} ${every === 1 ? period.slice(0, -1) : period}`

/** Canonical text: `0 9 * * 1-5 Europe/Berlin`, `15 minutes`. A clocked schedule is an ISO instant, which `parseSchedule` does not read. */
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
