/**
 * Converts a schedule to the named columns of its table row, and back. Columns have names because positions could be confused.
 */
import { type Crontab, createCrontab, type DayRule } from './crontab.ts'
import { createInterval, type Interval, type Period } from './interval.ts'
import { createClocked, type Schedule } from './schedule.ts'
import { ScheduleError } from './schedule-error.ts'

type ScheduleColumns = {
  kind: Schedule['kind']
  minute: string | null
  hour: string | null
  day_of_week: string | null
  day_of_month: string | null
  month_of_year: string | null
  day_rule: DayRule | null
  timezone: string | null
  every: number | null
  period: Period | null
  anchor: Date | null
  clocked_time: Date | null
}

/**
 * A row as the database driver returns it. A column that the table's CHECK constraints limit to a few values has the type
 * string.
 */
export type ScheduleRow = { kind: string } & {
  [column in keyof Omit<ScheduleColumns, 'kind'>]?: ScheduleColumns[column] | string
}

const EMPTY: Omit<ScheduleColumns, 'kind'> = {
  minute: null,
  hour: null,
  day_of_week: null,
  day_of_month: null,
  month_of_year: null,
  day_rule: null,
  timezone: null,
  every: null,
  period: null,
  anchor: null,
  clocked_time: null,
}

/** Returns all columns. A column that this kind of schedule does not use is null. */
export const toColumns = (schedule: Schedule): ScheduleColumns => {
  switch (schedule.kind) {
    case 'crontab':
      return {
        ...EMPTY,
        kind: 'crontab',
        minute: schedule.minute,
        hour: schedule.hour,
        day_of_week: schedule.dayOfWeek,
        day_of_month: schedule.dayOfMonth,
        month_of_year: schedule.monthOfYear,
        day_rule: schedule.dayRule,
        timezone: schedule.timezone,
      }
    case 'interval':
      return { ...EMPTY, kind: 'interval', every: schedule.every, period: schedule.period, anchor: schedule.anchor }
    case 'clocked':
      return { ...EMPTY, kind: 'clocked', clocked_time: schedule.at }
    default:
      return schedule satisfies never
  }
}

const required = (row: ScheduleRow, column: keyof ScheduleRow): string => {
  const value = row[column]
  if (value === null || value === undefined) {
    throw new ScheduleError(`column ${column} is empty, but a schedule of kind ${row.kind} needs it.`, { field: column })
  }
  return value instanceof Date ? value.toISOString() : String(value)
}

const crontabOf = (row: ScheduleRow): Crontab =>
  createCrontab(
    {
      minute: required(row, 'minute'),
      hour: required(row, 'hour'),
      dayOfWeek: required(row, 'day_of_week'),
      dayOfMonth: required(row, 'day_of_month'),
      monthOfYear: required(row, 'month_of_year'),
    },
    { dayRule: required(row, 'day_rule') as DayRule, timezone: required(row, 'timezone') },
  )

const intervalOf = (row: ScheduleRow): Interval =>
  createInterval(Number(required(row, 'every')), required(row, 'period') as Period, new Date(required(row, 'anchor')))

/** Returns the schedule of a row. @throws ScheduleError with the name of the column, if the row holds no valid schedule */
export const fromColumns = (row: ScheduleRow): Schedule => {
  switch (row.kind) {
    case 'crontab':
      return crontabOf(row)
    case 'interval':
      return intervalOf(row)
    case 'clocked':
      return createClocked(new Date(required(row, 'clocked_time')))
    default:
      throw new ScheduleError(`kind "${row.kind}": accepted are crontab, interval, clocked.`, { field: 'kind' })
  }
}
