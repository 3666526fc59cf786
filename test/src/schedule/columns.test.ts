import { expect, test } from 'vitest'
import { fromColumns, type ScheduleRow, toColumns } from '../../../src/schedule/columns.ts'
import { createCrontab } from '../../../src/schedule/crontab.ts'
import { createInterval } from '../../../src/schedule/interval.ts'
import { createClocked, type Schedule } from '../../../src/schedule/schedule.ts'

const ANCHOR = new Date('2026-11-22T18:00:00Z')
const SCHEDULES: Schedule[] = [
  createCrontab(
    { minute: '0', hour: '9', dayOfWeek: 'mon-fri', dayOfMonth: '1-7,L' },
    { dayRule: 'or', timezone: 'Europe/Berlin' },
  ),
  createInterval(15, 'minutes', ANCHOR),
  createClocked(ANCHOR),
]

test.each(SCHEDULES)('a $kind schedule is read back unchanged from its row', (schedule) => {
  const columns = toColumns(schedule)
  expect(Object.keys(columns)).toHaveLength(12)
  expect(fromColumns(columns)).toEqual(schedule)
  expect(fromColumns(JSON.parse(JSON.stringify(columns)))).toEqual(schedule)
})

const CRONTAB = toColumns(SCHEDULES[0]!)
const INTERVAL = toColumns(SCHEDULES[1]!)

test.each<[string, ScheduleRow, string]>([
  ['an unknown kind', { kind: 'solar' }, 'kind "solar": accepted are crontab, interval, clocked'],
  ['a missing field', { ...CRONTAB, hour: null }, 'column hour is empty, but a schedule of kind crontab needs it'],
  ['a field written by hand', { ...CRONTAB, minute: '1,' }, 'minute "1,"'],
  ['a date that never comes', { ...CRONTAB, day_rule: 'and', day_of_month: '31', month_of_year: '2' }, 'does not exist in'],
  ['a zone that is not known here', { ...CRONTAB, timezone: 'Mars/Olympus' }, 'timezone "Mars/Olympus"'],
  ['an invalid day rule', { ...CRONTAB, day_rule: 'xor' }, 'day_rule "xor"'],
  ['an invalid period', { ...INTERVAL, period: 'weeks' }, 'the period must be one of'],
  ['an invalid count of periods', { ...INTERVAL, every: 'many' }, 'whole number'],
  ['an invalid anchor', { ...INTERVAL, anchor: 'soon' }, 'not a date'],
])('a row with %s is refused with the name of the column', (_, row, message) => {
  expect(() => fromColumns(row)).toThrow(
    expect.objectContaining({ code: 'SCHEDULE_INVALID', message: expect.stringContaining(message), field: expect.any(String) }),
  )
})
