import { describe, expect, test } from 'vitest'
import { createEvaluator } from '../../../src/beat/tick.ts'
import type { BeatRow } from '../../../src/database/beat-schedules.ts'

const NOON = new Date('2026-11-22T12:00:00Z')
const ID = '00000000-0000-4000-8000-000000000001'

const rowOf = (more: Partial<BeatRow> = {}): BeatRow => ({
  id: ID,
  name: 'a',
  task: 'tasks.echo',
  kind: 'interval',
  every: 1,
  period: 'minutes',
  anchor: new Date('2026-11-22T00:00:00Z'),
  one_off: false,
  start_time: null,
  expires: null,
  expire_seconds: null,
  catchup: 'one',
  catchup_limit: 100,
  misfire_grace_seconds: null,
  next_run_at: NOON,
  old: '2026-11-22 12:00:00+00',
  tzdata: '2026c',
  version: '1',
  db_now: NOON,
  ...more,
})

const later = (ms: number) => new Date(NOON.getTime() + ms)

describe('the claim of a due row', () => {
  test('has the tick, the task id of the tick and the headers that name the tick', () => {
    expect(createEvaluator().claim(rowOf())).toEqual({
      id: ID,
      old: '2026-11-22 12:00:00+00',
      version: '1',
      next: later(60_000),
      last: NOON,
      last_task: '5e4fe26b-b8b6-5060-8d8a-29496292355b',
      finished: false,
      runs: [
        {
          tick: NOON,
          reason: 'tick',
          outcome: 'queued',
          task_id: '5e4fe26b-b8b6-5060-8d8a-29496292355b',
          missed: 0,
          headers: { beat: { schedule_id: ID, tick: '2026-11-22T12:00:00.000Z', reason: 'tick' } },
        },
      ],
    })
  })

  test('has the task id that Python’s uuid5 gives for schedule and tick', () => {
    const tick = new Date('2026-03-08T07:30:00Z')
    const { last_task } = createEvaluator().claim(rowOf({ next_run_at: tick, db_now: tick }))
    expect(last_task).toBe('88c63235-0002-5c82-b2ee-3c2f6d0be633')
  })

  test('is the same on every host and at any time', () => {
    const late = createEvaluator().claim(rowOf({ db_now: later(1234) }))
    expect(late.runs).toEqual(createEvaluator().claim(rowOf()).runs)
  })

  test('counts the expiry of the message from the tick', () => {
    const { runs } = createEvaluator().claim(rowOf({ expire_seconds: 30, db_now: later(20_000) }))
    expect(runs[0]?.headers.expires).toBe('2026-11-22T12:00:30.000Z')
  })

  test('has at most a hundred runs, whatever catchup_limit says', () => {
    const anchor = later(-40 * 86_400_000)
    const row = rowOf({ period: 'seconds', anchor, catchup: 'all', catchup_limit: 10_000, next_run_at: later(-30 * 86_400_000) })
    const { runs, next } = createEvaluator().claim(row)
    expect(runs).toHaveLength(100)
    expect(next).toEqual(later(-30 * 86_400_000 + 100_000))
  })

  test('limits the number of missed ticks to the maximum of the column', () => {
    const row = rowOf({
      period: 'seconds',
      anchor: new Date('0001-01-01T00:00:00Z'),
      next_run_at: new Date('0002-01-01T00:00:00Z'),
    })
    expect(createEvaluator().claim(row).runs[0]?.missed).toBe(2 ** 31 - 1)
  })

  test.each<[string, Partial<BeatRow>, RegExp]>([
    ['has next_run_at -infinity', { next_run_at: Number.NEGATIVE_INFINITY }, /next_run_at/],
    ['has a next_run_at that Date cannot hold', { next_run_at: new Date(Number.NaN) }, /next_run_at/],
    ['has no period', { period: null }, /period/],
    ['has an expires that Date cannot hold', { expires: new Date(Number.NaN) }, /expires/],
  ])('is refused for a row that %s, with the name of the column', (_, more, reason) => {
    expect(() => createEvaluator().claim(rowOf(more))).toThrow(reason)
  })
})

describe('one evaluator for many rows', () => {
  test('gives rows with the same definition different task ids', () => {
    const evaluator = createEvaluator()
    const other = '00000000-0000-4000-8000-000000000002'
    const [one, two] = [evaluator.claim(rowOf()), evaluator.claim(rowOf({ id: other }))]
    expect(two.last_task).not.toBe(one.last_task)
    expect(two.runs[0]?.headers.beat).toMatchObject({ schedule_id: other })
    expect(two.next).toEqual(one.next)
  })

  test.each<[string, Partial<BeatRow>]>([
    ['every', { every: 7 }],
    ['period', { period: 'hours' }],
    ['anchor', { anchor: later(-90_500) }],
    ['start_time', { start_time: later(300_000) }],
    ['expires', { expires: later(30_000) }],
    ['one_off', { one_off: true }],
    ['next_run_at', { next_run_at: later(-3_600_000) }],
    ['catchup', { next_run_at: later(-3_600_000), catchup: 'skip' }],
    ['catchup_limit', { next_run_at: later(-3_600_000), catchup: 'all', catchup_limit: 2 }],
    ['misfire_grace_seconds', { next_run_at: later(-3_600_000), misfire_grace_seconds: 1, db_now: later(30_000) }],
    ['db_now', { db_now: later(61_000) }],
    ['a start_time of infinity', { start_time: Number.NEGATIVE_INFINITY }],
  ])('evaluates rows separately if they differ in %s', (_, more) => {
    const shared = createEvaluator()
    for (const base of [{}, { next_run_at: later(-3_600_000) }, { next_run_at: later(-3_600_000), catchup: 'all' as const }])
      shared.claim(rowOf(base))
    expect(shared.claim(rowOf(more))).toEqual(createEvaluator().claim(rowOf(more)))
    expect(shared.plan(rowOf(more))).toEqual(createEvaluator().plan(rowOf(more)))
  })
})

describe('the plan of a row', () => {
  const plan = (more: Partial<BeatRow>) => createEvaluator().plan(rowOf({ next_run_at: null, old: null, ...more }))

  test.each<[string, Partial<BeatRow>, Date | null]>([
    ['is the first tick after now', { db_now: later(1) }, later(60_000)],
    ['is never the tick at now', {}, later(60_000)],
    ['is not before start_time, which can itself be a tick', { start_time: later(300_000) }, later(300_000)],
    ['has no tick at expires or later', { expires: later(60_000) }, null],
    ['is the clocked time, even if it is past', { kind: 'clocked', clocked_time: later(-5000), one_off: true }, later(-5000)],
  ])('%s', (_, more, next) => {
    expect(plan(more)).toEqual({ id: ID, version: '1', next, finished: next === null, error: null })
  })

  test.each<[string, Partial<BeatRow>, RegExp]>([
    ['start_time infinity', { start_time: Number.POSITIVE_INFINITY }, /start_time/],
    ['expires -infinity', { expires: Number.NEGATIVE_INFINITY }, /expires/],
    ['an unknown kind', { kind: 'solar' }, /solar/],
  ])('suspends a row with %s', (_, more, reason) => {
    expect(plan(more)).toMatchObject({ next: null, finished: true, error: expect.stringMatching(reason) })
  })
})

describe('the correction of a row that is not due', () => {
  const CRONTAB = {
    kind: 'crontab',
    minute: '0',
    hour: '12',
    day_of_week: '*',
    day_of_month: '*',
    month_of_year: '*',
    day_rule: 'and',
  }
  const berlin = { ...CRONTAB, timezone: 'Europe/Berlin', db_now: NOON } // In winter noon in Berlin is 11:00 UTC.
  const right = new Date('2026-11-23T11:00:00Z')
  const wrong = new Date('2026-11-23T10:00:00Z')
  const year = new Date('2027-11-23T11:00:00Z')

  test.each<[string, Partial<BeatRow>, Date | undefined]>([
    ['is not made for the right tick', { ...berlin, next_run_at: right }, undefined],
    ['moves a tick beyond the next tick back', { ...berlin, next_run_at: year }, right],
    ['moves a tick at infinity back', { ...berlin, next_run_at: Number.POSITIVE_INFINITY }, right],
    ['recomputes a tick that older zone data gave', { ...berlin, next_run_at: wrong, tzdata: '2025b' }, right],
    ['recomputes a tick that unknown zone data gave', { ...berlin, next_run_at: wrong, tzdata: null }, right],
    ['is not made for an earlier tick that newer zone data gave', { ...berlin, next_run_at: wrong, tzdata: '2027a' }, undefined],
    ['is not made for a later tick that newer zone data gave', { ...berlin, next_run_at: year, tzdata: '2027a' }, undefined],
    ['is not made for an earlier tick that the same zone data gave', { ...berlin, next_run_at: wrong }, undefined],
    [
      'is not made for an earlier tick in UTC, whatever the zone data',
      { ...berlin, timezone: 'UTC', next_run_at: wrong, tzdata: '2025b' },
      undefined,
    ],
    [
      'moves the tick of an interval back if it is a year ahead, whatever the zone data',
      { next_run_at: year, tzdata: '2027a' },
      later(60_000),
    ],
    ['is not made for a row that cannot be evaluated', { kind: 'solar', next_run_at: year }, undefined],
    ['is not made if the schedule expires before its next tick', { next_run_at: year, expires: later(1) }, undefined],
  ])('%s', (_, more, next) => {
    const correction = createEvaluator().correct(rowOf(more), '2026c')
    expect(correction?.next).toEqual(next)
  })
})
