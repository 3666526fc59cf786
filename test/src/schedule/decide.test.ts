import { describe, expect, test } from 'vitest'
import { createCrontab } from '../../../src/schedule/crontab.ts'
import { type CatchUp, type DueRow, decide, planNext } from '../../../src/schedule/decide.ts'
import { createInterval } from '../../../src/schedule/interval.ts'
import { createClocked } from '../../../src/schedule/schedule.ts'
import { tickTaskId } from '../../../src/schedule/tick-id.ts'

const ID = '00000000-0000-4000-8000-000000000001'
const at = (time: string): Date => new Date(`2026-11-22T${time}Z`)
const MINUTELY = createInterval(1, 'minutes', at('10:00:00'))

const row = (more: Partial<DueRow> = {}): DueRow => ({
  id: ID,
  schedule: MINUTELY,
  nextRunAt: at('12:00:00'),
  startTime: null,
  expires: null,
  oneOff: false,
  catchup: 'one',
  catchupLimit: 100,
  misfireGraceMs: null,
  ...more,
})

const time = (date: Date | null): string | null => date?.toISOString().slice(11, 19) ?? null

/** A decision as text: queued and skipped ticks (with the number of replaced ticks) and the next tick. */
const told = (one: DueRow, now: string): { queue: string[]; skipped: string[]; next: string | null } => {
  const { queue, skipped, next, finished } = decide(one, at(now))
  expect(finished).toBe(next === null)
  for (const { tick, taskId } of queue) expect(taskId).toBe(tickTaskId(ID, tick))
  const plus = (coalesced: number): string => (coalesced > 0 ? ` +${coalesced}` : '')
  return {
    queue: queue.map(({ tick, reason, coalesced }) => `${time(tick)} ${reason}${plus(coalesced)}`),
    skipped: skipped.map(({ tick, outcome, coalesced }) => `${time(tick)} ${outcome}${plus(coalesced)}`),
    next: time(next),
  }
}

describe('a due row', () => {
  test.each(['one', 'skip', 'all'] as const)('is queued as a tick under the catch-up policy %s', (catchup) => {
    expect(told(row({ catchup }), '12:00:00')).toEqual({ queue: ['12:00:00 tick'], skipped: [], next: '12:01:00' })
    expect(told(row({ catchup }), '12:00:59')).toEqual({ queue: ['12:00:00 tick'], skipped: [], next: '12:01:00' })
  })

  test('changes nothing if its tick is in the future', () => {
    expect(told(row(), '11:59:59')).toEqual({ queue: [], skipped: [], next: '12:00:00' })
  })

  test.each(['one', 'skip', 'all'] as const)(
    'of a schedule of every second loses no tick under %s if the loop is a few seconds late',
    (catchup) => {
      const seconds = row({ catchup, schedule: createInterval(1, 'seconds', at('10:00:00')) })
      const { queue, skipped, next } = told(seconds, '12:00:02')
      expect({ queue, skipped, next }).toEqual({
        queue: ['12:00:00 tick', '12:00:01 tick', '12:00:02 tick'],
        skipped: [],
        next: '12:00:03',
      })
    },
  )

  test('queues the stored tick even if this host computes another tick', () => {
    expect(told(row({ nextRunAt: at('12:00:30') }), '12:00:31')).toEqual({
      queue: ['12:00:30 tick'],
      skipped: [],
      next: '12:01:00',
    })
  })
})

describe('the decision after an outage of ten minutes', () => {
  const CASES: [catchup: CatchUp, more: Partial<DueRow>, expected: ReturnType<typeof told>][] = [
    ['one', {}, { queue: ['12:10:00 catchup +10'], skipped: [], next: '12:11:00' }],
    ['skip', {}, { queue: [], skipped: ['12:10:00 skipped_catchup +10'], next: '12:11:00' }],
    [
      'all',
      { catchupLimit: 3 },
      { queue: ['12:00:00 catchup', '12:01:00 catchup', '12:02:00 catchup'], skipped: [], next: '12:03:00' },
    ],
    [
      'all',
      { misfireGraceMs: 150_000 },
      {
        queue: ['12:08:00 catchup', '12:09:00 catchup', '12:10:00 catchup'],
        skipped: ['12:07:00 skipped_misfire +7'],
        next: '12:11:00',
      },
    ],
    ['all', { misfireGraceMs: 10_000 }, { queue: [], skipped: ['12:10:00 skipped_misfire +10'], next: '12:11:00' }],
    ['one', { misfireGraceMs: 30_000 }, { queue: ['12:10:00 catchup +10'], skipped: [], next: '12:11:00' }],
    ['one', { misfireGraceMs: 29_999 }, { queue: [], skipped: ['12:10:00 skipped_misfire +10'], next: '12:11:00' }],
    ['skip', { misfireGraceMs: 29_999 }, { queue: [], skipped: ['12:10:00 skipped_misfire +10'], next: '12:11:00' }],
    ['one', { oneOff: true }, { queue: ['12:10:00 catchup +10'], skipped: [], next: null }],
    ['all', { oneOff: true }, { queue: ['12:00:00 catchup'], skipped: [], next: null }],
    ['skip', { oneOff: true }, { queue: [], skipped: ['12:10:00 skipped_catchup +10'], next: '12:11:00' }],
    ['one', { expires: at('12:05:00') }, { queue: ['12:04:00 catchup +4'], skipped: [], next: null }],
    ['one', { expires: at('12:11:00') }, { queue: ['12:10:00 catchup +10'], skipped: [], next: null }],
    ['one', { expires: at('12:00:00') }, { queue: [], skipped: [], next: null }],
    ['one', { startTime: at('12:20:00') }, { queue: ['12:10:00 catchup +10'], skipped: [], next: '12:20:00' }],
  ]
  test.each(CASES)('for a row with the catch-up policy "%s" and the options %j is %j', (catchup, more, expected) => {
    expect(told(row({ catchup, ...more }), '12:10:30')).toEqual(expected)
  })
})

describe('the decision on the daily tick of 12:00:00', () => {
  const daily = row({ schedule: createCrontab({ minute: '0', hour: '12' }, { timezone: 'UTC' }) })
  test.each<[CatchUp, string, string[], string[]]>([
    ['one', '12:00:59', ['12:00:00 tick'], []],
    ['one', '18:00:00', ['12:00:00 catchup'], []],
    ['skip', '12:00:59', ['12:00:00 tick'], []],
    ['skip', '12:01:00', [], ['12:00:00 skipped_catchup']],
    ['all', '18:00:00', ['12:00:00 catchup'], []],
  ])('under the catch-up policy "%s" at %s queues %j and skips %j', (catchup, now, queue, skipped) => {
    expect(told({ ...daily, catchup }, now)).toEqual({ queue, skipped, next: '12:00:00' })
  })
})

test('a decision takes less than half a second after a year of missed minutes, and counts the replaced ticks', () => {
  const nextRunAt = new Date('2025-11-22T12:00:00Z')
  const missed = row({ schedule: createCrontab({}, { timezone: 'UTC' }), nextRunAt })
  const start = performance.now()
  const { queue } = decide(missed, at('12:00:30'))
  expect(queue).toMatchObject([{ tick: at('12:00:00'), reason: 'catchup', coalesced: 365 * 1440 }])
  expect(performance.now() - start).toBeLessThan(500)
})

test('a schedule of every second that is a month late queues one batch in each claim under the catch-up policy "all"', () => {
  const schedule = createInterval(1, 'seconds', at('10:00:00'))
  const { queue, next } = decide(row({ schedule, catchup: 'all', catchupLimit: 10_000 }), new Date('2026-12-22T12:00:00Z'))
  expect(queue).toHaveLength(10_000)
  expect(next).toEqual(new Date(at('12:00:00').getTime() + 10_000_000))
})

test('a clocked row is queued once, however late it is, unless its grace is over', () => {
  const clocked = row({ schedule: createClocked(at('12:00:00')), oneOff: true })
  expect(told(clocked, '12:00:00')).toEqual({ queue: ['12:00:00 tick'], skipped: [], next: null })
  expect(told(clocked, '20:00:00')).toEqual({ queue: ['12:00:00 catchup'], skipped: [], next: null })
  expect(told({ ...clocked, misfireGraceMs: 60_000 }, '20:00:00')).toEqual({
    queue: [],
    skipped: ['12:00:00 skipped_misfire'],
    next: null,
  })
})

describe('the first tick of a new, changed or enabled row', () => {
  test.each<[string, Partial<DueRow>, string | null]>([
    ['is the next tick, never a past tick', {}, '12:31:00'],
    ['can be the start time itself', { startTime: at('13:00:00') }, '13:00:00'],
    ['is the first tick after a start time that lies between ticks', { startTime: at('13:00:01') }, '13:01:00'],
    ['does not depend on a start time that is past', { startTime: at('11:00:00') }, '12:31:00'],
    ['is never the end of the schedule', { expires: at('12:31:00') }, null],
    ['can be the last tick before the end of the schedule', { expires: at('12:31:01') }, '12:31:00'],
    ['is the clocked time even if the time is past', { schedule: createClocked(at('12:00:00')) }, '12:00:00'],
    ['is the clocked time if the time is still to come', { schedule: createClocked(at('14:00:00')) }, '14:00:00'],
    [
      'does not exist for a clocked row whose start time is later',
      { schedule: createClocked(at('12:00:00')), startTime: at('12:00:01') },
      null,
    ],
    [
      'does not exist for a clocked row that expires before its time',
      { schedule: createClocked(at('12:00:00')), expires: at('12:00:00') },
      null,
    ],
  ])('%s', (_, more, expected) => {
    expect(time(planNext(row(more), at('12:30:30')))).toBe(expected)
  })
})

describe('the id of a tick', () => {
  test.each([
    ['2026-03-08T07:30:00.000Z', '88c63235-0002-5c82-b2ee-3c2f6d0be633'],
    ['1970-01-01T00:00:00.000Z', '45f8f548-ee02-511a-828f-2d3411df54aa'],
  ])('at %s is %s, as in Python', (iso, id) => {
    expect(tickTaskId(ID, new Date(iso))).toBe(id)
  })
})
