import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { createInterval, PERIODS, type Period } from '../../../src/schedule/interval.ts'
import { countTicks, createClocked, lastTick, nextTick, nextTicks } from '../../../src/schedule/schedule.ts'
import { caseCount } from '../../support/case-count.ts'

const ANCHOR = new Date('2026-01-01T00:00:03.000Z')
const at = (iso: string): Date => new Date(iso)

describe('an interval', () => {
  test('has its first tick one period after its anchor', () => {
    const hourly = createInterval(1, 'hours', ANCHOR)
    expect(nextTick(hourly, at('2020-01-01T00:00:00Z'))).toEqual(at('2026-01-01T01:00:03Z'))
    expect(nextTick(hourly, ANCHOR)).toEqual(at('2026-01-01T01:00:03Z'))
    expect(lastTick(hourly, at('2026-01-01T01:00:02.999Z'))).toBeNull()
    expect(lastTick(hourly, at('2026-01-01T01:00:03Z'))).toEqual(at('2026-01-01T01:00:03Z'))
  })

  test('has its ticks at whole periods from its anchor for any start', () => {
    const interval = createInterval(10, 'seconds', ANCHOR)
    expect(nextTick(interval, at('2026-01-01T00:00:27.400Z'))).toEqual(at('2026-01-01T00:00:33Z'))
    expect(lastTick(interval, at('2026-01-01T00:00:27.400Z'))).toEqual(at('2026-01-01T00:00:23Z'))
  })

  test('does not drift if its microseconds are not whole milliseconds', () => {
    const thirds = createInterval(1_333_333, 'microseconds', new Date(0))
    expect(nextTicks(thirds, new Date(0), 3).map(Number)).toEqual([1_333, 2_666, 3_999])
    expect(Number(nextTick(thirds, new Date(1_333_333_000 - 1)))).toBe(1_333_333_000)
  })

  test.each([
    [0, 'minutes', 'whole number from 1'],
    [-1, 'minutes', 'whole number from 1'],
    [1.5, 'hours', 'whole number from 1'],
    [Number.NaN, 'hours', 'whole number'],
    [999_999, 'microseconds', 'shortest period is 1 second'],
    [36_526, 'days', 'longest period is 36525 days'],
    [2_147_483_648, 'seconds', 'at most 2147483647'],
    [1, 'weeks' as Period, 'the period must be one of days, hours, minutes, seconds, microseconds'],
  ] as const)('is refused if it is %d %s: %s', (every, period, message) => {
    expect(() => createInterval(every, period, ANCHOR)).toThrow(
      expect.objectContaining({ code: 'SCHEDULE_INVALID', message: expect.stringContaining(message) }),
    )
  })

  test('has the same ticks whether they are searched forwards, searched backwards or counted', () => {
    const interval = fc
      .record({
        every: fc.integer({ min: 1, max: 3_000_000 }),
        period: fc.constantFrom(...PERIODS),
        anchor: fc.integer({ min: 0, max: 2e12 }),
      })
      .filter(({ every, period }) => (period === 'microseconds' ? every >= 1_000_000 : period !== 'days' || every <= 36_525))
      .filter(({ every, period }) => period !== 'hours' || every <= 876_600)
      .map(({ every, period, anchor }) => createInterval(every, period, new Date(anchor)))
    fc.assert(
      fc.property(interval, fc.integer({ min: 0, max: 3e12 }), (one, after) => {
        const tick = nextTick(one, new Date(after))!
        expect(Number(tick)).toBeGreaterThan(Math.max(after, Number(one.anchor)))
        expect(nextTick(one, new Date(Number(tick) - 1))).toEqual(tick)
        expect(lastTick(one, tick)).toEqual(tick)
        const last = lastTick(one, new Date(after))
        if (last !== null) expect(nextTick(one, last)).toEqual(tick)
        expect(countTicks(one, tick, nextTicks(one, tick, 4).at(-1)!)).toBe(5)
        expect(countTicks(one, new Date(Number(tick) + 1), tick)).toBe(0)
      }),
      { numRuns: caseCount(200, 2_000) },
    )
  })
})

test('a clocked schedule has exactly one tick', () => {
  const once = createClocked(at('2026-11-22T18:00:00Z'))
  expect(nextTicks(once, at('2026-11-22T17:59:59.999Z'), 5)).toEqual([once.at])
  expect(nextTick(once, once.at)).toBeNull()
  expect(lastTick(once, once.at)).toEqual(once.at)
  expect(lastTick(once, at('2026-11-22T17:59:59Z'))).toBeNull()
  expect(() => createClocked(new Date('never'))).toThrow('not a date')
})
