import { describe, expect, test } from 'vitest'
import { createCrontab } from '../../../src/schedule/crontab.ts'
import { type CrontabField, expandField } from '../../../src/schedule/crontab-fields.ts'

const EXPANDED: [field: CrontabField, text: string, values: number[]][] = [
  ['minute', '0', [0]],
  ['minute', '*/15', [0, 15, 30, 45]],
  ['minute', '*/60', [0]],
  ['minute', '*/7', [0, 7, 14, 21, 28, 35, 42, 49, 56]],
  ['minute', '0-30/10,15', [0, 10, 15, 20, 30]],
  ['minute', '1,1,01', [1]],
  ['minute', '50-10/10', [0, 10, 50]],
  ['hour', '22-2', [0, 1, 2, 22, 23]],
  ['hour', '22-2/2', [0, 2, 22]],
  ['hour', '23-23', [23]],
  ['dayOfWeek', 'mon-fri', [1, 2, 3, 4, 5]],
  ['dayOfWeek', 'MONDAY,Tue', [1, 2]],
  ['dayOfWeek', 'fri-mon', [0, 1, 5, 6]],
  ['dayOfWeek', 'sat-sun', [0, 6]],
  ['dayOfWeek', '7', [0]],
  ['dayOfWeek', '0,7', [0]],
  ['dayOfWeek', '5-7', [0, 5, 6]],
  ['dayOfWeek', '7-2', [0, 1, 2]],
  ['dayOfWeek', '0-7', [0, 1, 2, 3, 4, 5, 6]],
  ['dayOfWeek', '1-7', [0, 1, 2, 3, 4, 5, 6]],
  ['dayOfWeek', '*/2', [0, 2, 4, 6]],
  ['dayOfMonth', '*/10', [1, 11, 21, 31]],
  ['monthOfYear', '*/5', [1, 6, 11]],
  ['monthOfYear', 'nov-feb', [1, 2, 11, 12]],
  ['monthOfYear', 'january,may', [1, 5]],
]

test.each(EXPANDED)('the crontab field %s "%s" selects %j', (field, text, values) => {
  expect(expandField(field, text).values).toEqual(values)
})

test.each([
  ['minute', '0-59'],
  ['hour', '*,5'],
  ['hour', '12-11'],
  ['dayOfWeek', '1-7'],
  ['dayOfMonth', '1-31,L'],
  ['monthOfYear', 'jan-dec'],
] as const)('the crontab field %s "%s" selects all values', (field, text) => {
  expect(expandField(field, text)).toMatchObject({ full: true, last: false })
})

test('the crontab field day_of_month accepts L for the last day of the month, alone or in a list', () => {
  expect(expandField('dayOfMonth', 'L')).toEqual({ values: [], last: true, full: false })
  expect(expandField('dayOfMonth', '15,l')).toEqual({ values: [15], last: true, full: false })
})

describe('an invalid crontab field is refused with its name, its value and the accepted syntax', () => {
  const REFUSED: [field: CrontabField, text: string, reason: string][] = [
    ['minute', '60', '60 is out of range'],
    ['minute', '', 'empty'],
    ['minute', '1,', 'an empty item'],
    ['minute', ',1', 'an empty item'],
    ['minute', '*/0', 'the step must be 1 to 60'],
    ['minute', '*/90', 'write an interval, such as 90 minutes'],
    ['minute', '5/15', 'write 5-59/15'],
    ['minute', '1-5/2/3', 'not a value'],
    ['minute', '*/2-3', 'not a value'],
    ['minute', 'jan', 'not a number'],
    ['minute', '0x1', 'not a value'],
    ['minute', '-1', 'not a value'],
    ['minute', '1.5', 'not a value'],
    ['minute', '٣', 'not a value'],
    ['minute', ' 5', 'not a value'],
    ['minute', '00005', 'not a value'],
    ['minute', 'H', 'Jenkins'],
    ['minute', `${'1,'.repeat(200)}1`, 'longer than 255'],
    ['hour', '24', '24 is out of range'],
    ['dayOfWeek', '8', '8 is out of range'],
    ['dayOfWeek', 'tues', '"tues" is not a known name'],
    ['dayOfWeek', '5#2', 'n-th weekday'],
    ['dayOfWeek', '5L', 'not a value'],
    ['dayOfWeek', 'L', '"L" is not a known name'],
    ['dayOfMonth', '0', '0 is out of range'],
    ['dayOfMonth', '32', '32 is out of range'],
    ['dayOfMonth', '15W', 'nearest working day'],
    ['dayOfMonth', '?', 'Quartz'],
    ['dayOfMonth', 'L-3', 'not a number'],
    ['monthOfYear', '0', '0 is out of range'],
    ['monthOfYear', 'mon', '"mon" is not a known name'],
    ['monthOfYear', '1;DROP', 'not a value'],
  ]
  test.each(REFUSED)('%s "%s": %s', (field, text, reason) => {
    expect(() => expandField(field, text)).toThrow(
      expect.objectContaining({ code: 'SCHEDULE_INVALID', message: expect.stringContaining(reason) }),
    )
    expect(() => expandField(field, text)).toThrow(/^(?:minute|hour|day_of_week|day_of_month|month_of_year) ".* takes /)
  })
})

test('a crontab with a date that never comes is refused, unless the weekday field gives other dates', () => {
  const crontab = (dayOfMonth: string, monthOfYear: string, more = {}) =>
    createCrontab({ minute: '0', hour: '0', dayOfMonth, monthOfYear, ...more }, { dayRule: 'and', timezone: 'UTC' })
  expect(() => crontab('31', '2')).toThrow('does not exist in')
  expect(() => crontab('30,31', 'feb')).toThrow('does not exist in')
  expect(() => crontab('31', '4,6,9,11')).toThrow('does not exist in')
  expect(() => crontab('31', '2', { dayOfWeek: 'mon' })).toThrow('does not exist in')
  expect(() => crontab('29', '2', { dayOfWeek: 'mon' })).not.toThrow()
  expect(() => crontab('31,L', '2')).not.toThrow()
  expect(() => crontab('31', '2,3')).not.toThrow()
  const or = { dayRule: 'or', timezone: 'UTC' } as const
  expect(() => createCrontab({ dayOfMonth: '31', monthOfYear: '2', dayOfWeek: 'mon' }, or)).not.toThrow()
  expect(() => createCrontab({ dayOfMonth: '31', monthOfYear: '2' }, or)).toThrow('does not exist in')
})
