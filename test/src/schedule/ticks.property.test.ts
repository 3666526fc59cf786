import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { createCrontab } from '../../../src/schedule/crontab.ts'
import { lastTick, nextTick, nextTicks } from '../../../src/schedule/schedule.ts'
import { caseCount } from '../../support/case-count.ts'
import { type ArbitraryCrontab, arbitraryCrontab } from './arbitrary-crontab.ts'
import { matches, offsetChanges, ticksBetween, wallAt } from './oracle.ts'

const DAY_MS = 86_400_000
const FROM = Date.UTC(2024, 0, 1)
const TO = Date.UTC(2029, 0, 1)
/** One zone for each kind of offset change. */
const NOTABLE = [
  'America/New_York',
  'Europe/Berlin',
  'Europe/London',
  'Australia/Lord_Howe',
  'Pacific/Chatham',
  'America/Nuuk',
  'Antarctica/Troll',
  'America/Havana',
  'America/Santiago',
  'Africa/Casablanca',
  'Africa/Cairo',
  'Asia/Gaza',
  'Atlantic/Azores',
  'Asia/Beirut',
]

const changes = new Map<string, number[]>()
const changesOf = (timezone: string): number[] => {
  const known = changes.get(timezone) ?? offsetChanges(timezone, FROM, TO)
  changes.set(timezone, known)
  return known
}

const timezone = fc.oneof(
  { weight: 3, arbitrary: fc.constantFrom(...NOTABLE) },
  { weight: 1, arbitrary: fc.constantFrom(...Intl.supportedValuesOf('timeZone'), 'UTC') },
)

/** A time near an offset change if the zone has any, because schedule bugs occur there. */
const moment = (zone: string): fc.Arbitrary<number> => {
  const near = changesOf(zone)
  const anywhere = fc.integer({ min: FROM, max: TO })
  if (near.length === 0) return anywhere
  const around = fc
    .tuple(fc.constantFrom(...near), fc.integer({ min: -36 * 60, max: 3 * 60 }))
    .map(([at, minutes]) => at + minutes * 60_000)
  return fc.oneof({ weight: 5, arbitrary: around }, { weight: 1, arbitrary: anywhere })
}

const where = timezone.chain((zone) => moment(zone).map((after) => ({ zone, after })))
const scheduleOf = ({ texts, fields }: ArbitraryCrontab, zone: string) =>
  createCrontab(texts, { dayRule: fields.dayRule, timezone: zone })

describe('the ticks of a crontab', () => {
  test('are the ticks that a search through every minute finds, in every zone', { timeout: 60_000 }, () => {
    fc.assert(
      fc.property(arbitraryCrontab, where, (crontab, { zone, after }) => {
        const until = after + 2 * DAY_MS
        const expected = ticksBetween(crontab.fields, zone, after, until).slice(0, 12)
        const schedule = scheduleOf(crontab, zone)
        let tick = new Date(after)
        for (const instant of expected) {
          tick = nextTick(schedule, tick)!
          expect(tick.toISOString()).toBe(new Date(instant).toISOString())
        }
        if (expected.length < 12) expect(nextTick(schedule, tick)!.getTime()).toBeGreaterThan(until)
      }),
      { numRuns: caseCount(60, 2_500) },
    )
  })

  test('are later than the start, increase, and are found again from a millisecond before each tick', {
    timeout: 30_000,
  }, () => {
    fc.assert(
      fc.property(arbitraryCrontab, where, fc.nat(3 * DAY_MS), (crontab, { zone, after }, later) => {
        const schedule = scheduleOf(crontab, zone)
        const tick = nextTick(schedule, new Date(after))!
        expect(tick.getTime()).toBeGreaterThan(after)
        expect(nextTick(schedule, new Date(tick.getTime() - 1))).toEqual(tick)
        expect(nextTick(schedule, new Date(after + later))!.getTime()).toBeGreaterThanOrEqual(tick.getTime())
        const wall = wallAt(zone, tick.getTime())
        // The wall clock matches the fields, unless the tick was moved out of a gap of at most two hours.
        const isMoved = Array.from({ length: 8 }, (_, quarter) => wall - (quarter + 1) * 900_000).some((moved) =>
          matches(crontab.fields, moved),
        )
        expect(matches(crontab.fields, wall) || isMoved).toBe(true)
      }),
      { numRuns: caseCount(60, 800) },
    )
  })

  test('are the same when searched backwards', { timeout: 30_000 }, () => {
    fc.assert(
      fc.property(arbitraryCrontab, where, (crontab, { zone, after }) => {
        const schedule = scheduleOf(crontab, zone)
        const last = lastTick(schedule, new Date(after))!
        expect(last.getTime()).toBeLessThanOrEqual(after)
        expect(nextTick(schedule, last)!.getTime()).toBeGreaterThan(after)
        expect(nextTick(schedule, new Date(last.getTime() - 1))).toEqual(last)
      }),
      { numRuns: caseCount(40, 400) },
    )
  })

  test('under the day rule "and" are also ticks under "or"', { timeout: 30_000 }, () => {
    fc.assert(
      fc.property(arbitraryCrontab, where, ({ texts }, { zone, after }) => {
        const both = createCrontab(texts, { dayRule: 'and', timezone: zone })
        const either = createCrontab(texts, { dayRule: 'or', timezone: zone })
        for (const tick of nextTicks(both, new Date(after), 3))
          expect(nextTick(either, new Date(tick.getTime() - 1))).toEqual(tick)
      }),
      { numRuns: caseCount(40, 400) },
    )
  })
})
