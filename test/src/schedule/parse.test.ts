import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { AppError } from '../../../src/errors.ts'
import { toColumns } from '../../../src/schedule/columns.ts'
import type { Crontab } from '../../../src/schedule/crontab.ts'
import { createCrontab, crontabSets } from '../../../src/schedule/crontab.ts'
import { formatSchedule } from '../../../src/schedule/format.ts'
import { parseSchedule } from '../../../src/schedule/parse.ts'
import type { Schedule } from '../../../src/schedule/schedule.ts'
import { ScheduleError } from '../../../src/schedule/schedule-error.ts'
import { caseCount } from '../../support/case-count.ts'
import { arbitraryCrontab } from './arbitrary-crontab.ts'

type Fields = { minute: string; hour: string; day_of_week: string; day_of_month: string; month_of_year: string }
type Reading = ({ type: 'crontab' } & Fields) | { type: 'interval'; every: number; period: string }
type Case = {
  input: string
  verdict: 'ok' | 'reject' | 'ambiguous' | 'none'
  seed: Reading | string | null
  crontab_reading?: Fields
}

const cases: Case[] = JSON.parse(readFileSync(new URL('../../fixtures/cases/beat-parse-cases.json', import.meta.url), 'utf8'))
const NOW = new Date('2026-11-22T18:00:00Z')

const parse = (text: string): Schedule => parseSchedule(text, { timezone: 'UTC', now: NOW })

const refusal = (text: string): ScheduleError => {
  try {
    parse(text)
  } catch (error) {
    if (error instanceof ScheduleError) return error
    throw error
  }
  throw new Error(`"${text}" was accepted`)
}

/** The columns of one reading in the case file. */
const columnsOf = (schedule: Schedule, like: object): object => {
  const columns: Record<string, unknown> = { ...toColumns(schedule), type: schedule.kind }
  return Object.fromEntries(Object.keys(like).map((name) => [name, columns[name]]))
}

const fieldCount = (text: string): number => text.split(/\s+/).filter(Boolean).length

describe('the parser with a text of beat-parse-cases.json', () => {
  test.each(cases)('gives the verdict "$verdict" of Celery for "celery: $input"', ({ input, verdict, seed }) => {
    const text = `celery: ${input}`
    if (verdict === 'reject' || verdict === 'none') expect(refusal(text).code).toBe('SCHEDULE_INVALID')
    else expect(columnsOf(parse(text), seed as Reading)).toEqual(seed)
  })

  const accepted = cases.filter(({ input, verdict }) => verdict === 'ok' && fieldCount(input) < 5)
  test.each(accepted)('reads "$input" in the order of Celery', ({ input, seed }) => {
    expect(columnsOf(parse(input), seed as Reading)).toEqual(seed)
  })

  const short = cases.filter(({ input, verdict }) => verdict === 'ambiguous' && fieldCount(input) < 5)
  test.each(short)('refuses the ambiguous "$input" and suggests both readings', ({ input, seed, crontab_reading }) => {
    const { suggestions } = refusal(input)
    expect(suggestions.map((text) => fieldCount(text))).toEqual([5, 5])
    const [guide, crontab] = suggestions.map(parse) as [Schedule, Schedule]
    expect(columnsOf(guide, seed as Reading)).toEqual(seed)
    expect(columnsOf(crontab, crontab_reading!)).toEqual(crontab_reading)
  })

  const five = cases.filter(({ input, verdict }) => verdict === 'ambiguous' && fieldCount(input) === 5)
  test.each(five)('reads "$input" as a crontab line, because it has five fields', ({ input, crontab_reading }) => {
    expect(columnsOf(parse(input), crontab_reading!)).toEqual(crontab_reading)
  })

  const celeryOnly = cases.filter(({ input, verdict }) => verdict === 'ok' && fieldCount(input) === 5 && input !== '0 9 * * *')
  test.each(celeryOnly)('refuses "$input" and suggests a valid crontab line', ({ input, seed }) => {
    const { suggestions } = refusal(input)
    expect(suggestions).toHaveLength(1)
    expect(columnsOf(parse(suggestions[0]!), seed as Reading)).toEqual(seed)
  })

  const rejected = cases.filter(({ input, verdict }) => verdict === 'reject' && input !== '@daily')
  test.each(rejected)('refuses "$input"', ({ input, crontab_reading }) => {
    const { suggestions } = refusal(input)
    if (crontab_reading !== undefined) expect(columnsOf(parse(suggestions[0]!), crontab_reading)).toEqual(crontab_reading)
  })

  test('reads each text in one of the groups above', () => {
    expect(short.length + five.length).toBe(cases.filter(({ verdict }) => verdict === 'ambiguous').length)
    expect([accepted, short, five, celeryOnly, rejected].map((group) => group.length > 0)).toEqual([true, true, true, true, true])
  })
})

/** Text and its canonical form, which has fields, day rule and zone. */
const ACCEPTED: [text: string, canonical: string][] = [
  ['*/15 *', '*/15 * * * * UTC'],
  ['  0\t9  ', '0 9 * * * UTC'],
  ['0 9 * * 1-5', '0 9 * * 1-5 UTC'],
  ['0 9 * * 1-5 Europe/Berlin', '0 9 * * 1-5 Europe/Berlin'],
  ['0 9 * * 1-5 tz=Europe/Berlin', '0 9 * * 1-5 Europe/Berlin'],
  ['CRON_TZ=asia/tokyo 0 9 * * *', '0 9 * * * Asia/Tokyo'],
  ['0 9 US/Eastern', '0 9 * * * US/Eastern'],
  ['0 9 * * * utc', '0 9 * * * UTC'],
  ['0 9 * * sat', '0 9 * * sat UTC'],
  ['0 0 13 * 5', '0 0 13 * 5 UTC'],
  ['0 0 13 * 5 day_rule=and', '0 0 13 * 5 day_rule=and UTC'],
  ['0 9 mon', '0 9 * * mon UTC'],
  ['0 9 mon 1-7', '0 9 1-7 * mon day_rule=and UTC'],
  ['0 9 * *', '0 9 * * * UTC'],
  ['0 9 0-7', '0 9 * * 0-7 UTC'],
  ['celery: 0 9 mon', '0 9 * * mon UTC'],
  ['celery:0 0 5 13 *', '0 0 13 * 5 day_rule=and UTC'],
  ['CRONTAB: 0 0 13 * 5', '0 0 13 * 5 UTC'],
  ['minute=0 hour=9 day_of_week=mon-fri', '0 9 * * mon-fri UTC'],
  ['day_of_month=13 day_of_week=fri minute=0 hour=0 tz=Europe/Paris', '0 0 13 * fri day_rule=and Europe/Paris'],
  ['minute=0 hour=0 day_of_month=13 day_of_week=fri day_rule=or', '0 0 13 * fri UTC'],
  ['minute=5 month=jan', '5 * * jan * UTC'],
  ['@hourly', '0 * * * * UTC'],
  ['@daily Europe/Paris', '0 0 * * * Europe/Paris'],
  ['@weekly', '0 0 * * 0 UTC'],
  ['@MONTHLY', '0 0 1 * * UTC'],
  ['@yearly', '0 0 1 1 * UTC'],
  ['0 0 L * *', '0 0 L * * UTC'],
  ['15 minutes', '15 minutes'],
  ['1 seconds', '1 second'],
  ['1 second', '1 second'],
  ['every 2 hours', '2 hours'],
  ['Every 1 Day', '1 day'],
  ['every minute', '1 minute'],
  ['1500000 microseconds', '1500000 microseconds'],
]

test.each(ACCEPTED)('the parser reads the schedule "%s" as "%s"', (text, canonical) => {
  const schedule = parse(text)
  expect(formatSchedule(schedule)).toBe(canonical)
  expect(parse(canonical)).toEqual({
    ...schedule,
    ...(schedule.kind === 'crontab' ? { dayRule: parsedRule(schedule, canonical) } : {}),
  })
})

/** If only one day field is restricted, the rule has no effect and the canonical text lacks it. */
const parsedRule = (schedule: Crontab, canonical: string): string =>
  canonical.includes('day_rule=and') ? schedule.dayRule : 'or'

/** Text, part of the error message, suggestions. */
const REFUSED: [text: string, message: string, suggestions: string[]][] = [
  ['', 'empty', []],
  [' \n ', 'empty', []],
  ['x'.repeat(2_000), 'longer than 1500', []],
  ['5', 'two fields', []],
  ['9:30', '"9:30"', ['30 9']],
  ['daily', '"daily"', ['@daily']],
  ['0 9 1', 'can mean', ['0 9 * * 1', '0 9 1 * *']],
  ['0 9 1 Europe/Berlin', '(at 09:00 on Monday (Europe/Berlin))', ['0 9 * * 1 Europe/Berlin', '0 9 1 * * Europe/Berlin']],
  ['0 9 1 2', 'only if it is also the 2nd', ['0 9 2 * 1 day_rule=and', '0 9 1 2 *']],
  ['0 9 * jan', 'the order of crontab(5)', ['0 9 * jan *']],
  ['0 9 8', 'day_of_week "8"', ['0 9 8 * *']],
  ['30 4 * 1,15 *', 'month_of_year "1,15": 15 is out of range', ['30 4 1,15 * *']],
  ['0 0 9 * * 1-5', 'six fields', ['0 9 * * 1-5']],
  ['*/10 0 9 * * 1', '6 fields', []],
  ['0 9 * * 1-5 Berlin', 'Did you mean Europe/Berlin?', []],
  ['0 9 * * 1-5 +02:00', 'an offset has no rules for summer time', []],
  ['0 9 * * 1-5 tz=UTC+5', 'an offset has no rules', []],
  ['0 9 * * * tz=', 'timezone ""', []],
  ['0 9 * * * tz=local', 'timezone "local"', []],
  ['tz=UTC 0 9 Europe/Berlin', 'a second time zone', []],
  ['0 9 * * * day_rule=xor', 'day_rule "xor"', []],
  ['0 9 31 2 *', 'day_of_month "31" does not exist in month_of_year "2"', []],
  ['0 9 31 4,6,9,11 *', 'does not exist in', []],
  ['celery: 0 9 mon 31 feb', 'does not exist in', []],
  ['crontab: 0 9', 'five fields', []],
  ['hour=9', 'name the minute too', ['minute=0 hour=9', 'minute=* hour=9']],
  ['hour=9 tz=Europe/Rome', 'name the minute too', ['minute=0 hour=9 tz=Europe/Rome', 'minute=* hour=9 tz=Europe/Rome']],
  ['minute=0 9', '"9": named and positional fields cannot be mixed', []],
  ['minute=0 weekday=1', '"weekday" is not a field', []],
  ['minute=0 minute=1', 'twice', []],
  ['minute=', 'minute "": empty', []],
  ['celery: minute=0', 'have no order', ['minute=0']],
  ['@annually', 'accepted are @hourly', ['@yearly']],
  ['@reboot', 'cannot run at machine start', []],
  ['@daily 5', '"5" after @daily', ['@daily']],
  ['celery: @daily', 'is a macro of crontab(5)', ['@daily']],
  ['30 s', '"s" is not a period', ['30 seconds']],
  ['90s', '"s" is not a period', ['90 seconds']],
  ['5minutes', 'write a space', ['5 minutes']],
  ['10 secondss', '"secondss" is not a period', []],
  ['every 2 weeks', '"weeks" is not a period', ['14 days']],
  ['1.5 hours', 'not a whole number', ['90 minutes']],
  ['0.5 seconds', 'not a whole number', []],
  ['٣ minutes', 'not a whole number', []],
  ['every', '"" is not a period', []],
  ['999999 microseconds', 'shortest period is 1 second', []],
  ['40000 days', 'longest period', []],
  ['9999999999 seconds', 'at most 2147483647', []],
  ['every 15 minutes UTC', 'an interval counts elapsed time', ['every 15 minutes']],
  ['1 minutes in the morning', '"in the morning" after the period', ['1 minute']],
  ['constructor minutes', 'not a whole number', []],
  ['1 constructor', '"constructor" is not a period', []],
  ['@constructor', 'accepted are', []],
]

test.each(REFUSED)('the parser refuses the schedule "%s": %s', (text, message, suggestions) => {
  const error = refusal(text)
  expect(error).toBeInstanceOf(AppError)
  expect(error.code).toBe('SCHEDULE_INVALID')
  expect(error.message).toContain(message)
  expect(error.suggestions).toEqual(suggestions)
  for (const suggestion of suggestions) expect(() => parse(suggestion)).not.toThrow()
})

test('the parser names the invalid field of a schedule', () => {
  expect(refusal('0 25 * * *').field).toBe('hour')
  expect(refusal('0 9 * * fri-fry').field).toBe('day_of_week')
  expect(refusal('0 9 tz=Mars/Olympus').field).toBe('timezone')
})

test('the parser anchors an interval at the current time', () => {
  expect(parse('15 minutes')).toEqual({ kind: 'interval', every: 15, period: 'minutes', anchor: NOW })
})

test('the parser refuses a default time zone that does not exist', () => {
  expect(() => parseSchedule('0 9', { timezone: 'Atlantis/Capital', now: NOW })).toThrow('timezone "Atlantis/Capital"')
})

test('the parser reads every crontab back from its canonical text and from its named fields', () => {
  fc.assert(
    fc.property(
      arbitraryCrontab,
      fc.constantFrom('UTC', 'Europe/Berlin', 'America/Argentina/Ushuaia'),
      ({ texts, fields }, timezone) => {
        const crontab = createCrontab(texts, { dayRule: fields.dayRule, timezone })
        const { minute, hour, dayOfWeek, dayOfMonth, monthOfYear, dayRule } = crontab
        const days = `day_of_month=${dayOfMonth} month_of_year=${monthOfYear} day_of_week=${dayOfWeek}`
        const named = `minute=${minute} hour=${hour} ${days} day_rule=${dayRule} timezone=${timezone}`
        expect(parse(named)).toEqual(crontab)
        const again = parse(formatSchedule(crontab)) as Crontab
        expect({ ...again, dayRule: crontab.dayRule }).toEqual(crontab)
        expect(crontabSets(again)).toEqual(crontabSets(crontab))
        expect([...crontabSets(crontab).dayOfWeek.values]).toEqual([...fields.dayOfWeek].sort((a, b) => a - b))
      },
    ),
    { numRuns: caseCount(100, 500) },
  )
})

test('the parser returns a schedule or throws a ScheduleError for every text', () => {
  const word = fc.oneof(
    fc.constantFrom('*', '0', '9', 'mon', '1-5', '*/2', 'every', 'minutes', '@daily', 'tz=UTC', 'hour=3', 'L', 'UTC'),
    fc.string({ maxLength: 6 }),
  )
  fc.assert(
    fc.property(fc.array(word, { maxLength: 7 }), (words) => {
      const text = words.join(' ')
      try {
        expect(['crontab', 'interval']).toContain(parse(text).kind)
      } catch (error) {
        expect(error).toBeInstanceOf(ScheduleError)
      }
    }),
    { numRuns: caseCount(300, 3_000) },
  )
})
