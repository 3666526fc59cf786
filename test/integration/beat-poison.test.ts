import { describe, expect } from 'vitest'
import type { BeatSchedules } from '../../src/database/beat-schedules.ts'
import { type BeatBench, benchTest, createHeardLog, flaws } from '../support/beats.ts'
import { until } from '../support/until.ts'

const CRONTAB = {
  kind: 'crontab',
  minute: '0',
  hour: '*',
  day_of_week: '*',
  day_of_month: '*',
  month_of_year: '*',
  day_rule: 'and',
  timezone: 'UTC',
}

/** Invalid rows that a person can write with SQL, and the start of their last_error. */
const UNPLANNABLE: [string, Record<string, unknown>, RegExp][] = [
  ['31 February', { ...CRONTAB, day_of_month: '31', month_of_year: '2' }, /31|date/],
  ['an empty list item', { ...CRONTAB, minute: '1,' }, /minute/],
  ['a zone that nobody knows', { ...CRONTAB, timezone: 'Mars/Olympus' }, /Mars\/Olympus/],
  ['the zone of the host', { ...CRONTAB, timezone: '' }, /timezone/],
  ['less than a second', { kind: 'interval', every: 999, period: 'microseconds', anchor: new Date() }, /1 second/],
  ['an anchor without end', { kind: 'interval', every: 1, period: 'days', anchor: 'infinity' }, /anchor/],
  ['a clock that never strikes', { kind: 'clocked', one_off: true, clocked_time: 'infinity' }, /clocked_time/],
  [
    'a start that never comes',
    { kind: 'interval', every: 1, period: 'days', anchor: new Date(), start_time: 'infinity' },
    /start_time/,
  ],
  // The first tick is in the year 10098. PostgreSQL cannot read its JSON form, so it refuses the whole statement.
  [
    'a tick after the year 9999',
    { kind: 'interval', every: 36_500, period: 'days', anchor: '9998-01-01' },
    /out of range|invalid/,
  ],
]

benchTest('beat suspends each schedule that cannot be planned, while other schedules run', async (bench) => {
  for (const [name, columns] of UNPLANNABLE) await bench.add({ name, ...columns })
  await bench.addInterval('sound', 1)
  await bench.beat()
  await until('three sound runs', async () => (await bench.runs('sound')).length >= 3)
  for (const [name, , reason] of UNPLANNABLE) {
    const row = await bench.row(name)
    expect({ name, finished: row?.finished, next: row?.next_run_at }).toEqual({ name, finished: true, next: null })
    expect(row?.last_error, name).toMatch(reason)
  }
  expect(await flaws(bench, 'sound', 1000)).toEqual([])
})

benchTest('beat runs a suspended schedule after it is fixed and clears its error', async (bench) => {
  await bench.add({ name: 'a', ...CRONTAB, minute: '1,' })
  await bench.beat()
  await until('an error', async () => (await bench.row('a'))?.last_error)
  await bench.sql(`UPDATE schedule SET minute = '1'`)
  await until('a plan', async () => (await bench.row('a'))?.next_run_at)
  expect(await bench.row('a')).toMatchObject({ last_error: null, finished: false })
})

benchTest('beat plans suspended schedules again when it starts', async (bench) => {
  await bench.addInterval('a', 3600, { finished: true, last_error: 'timezone: it is not known here' })
  await bench.addInterval('b', 3600, { finished: true })
  await bench.beat()
  await until('a plan', async () => (await bench.row('a'))?.next_run_at)
  expect(await bench.row('a')).toMatchObject({ last_error: null, finished: false })
  expect(await bench.row('b')).toMatchObject({ next_run_at: null, finished: true })
})

/** Invalid rows that are written while beat runs and the trigger is off, as a restored dump does. */
const UNCLAIMABLE: [string, string, RegExp][] = [
  [
    'an empty list item',
    `next_run_at = now(), kind = 'crontab', minute = '1,', hour = '*', day_of_week = '*', day_of_month = '*', month_of_year = '*', day_rule = 'and', timezone = 'UTC'`,
    /minute/,
  ],
  ['a tick before all time', `next_run_at = '-infinity'`, /next_run_at/],
  [
    'a next tick after the year 9999',
    `next_run_at = now(), every = 36500, period = 'days', anchor = '9998-01-01'`,
    /out of range|invalid/,
  ],
]

benchTest('beat suspends due schedules that cannot be claimed, and the other schedules lose no tick', async (bench) => {
  for (const [name] of UNCLAIMABLE) await bench.addInterval(name, 1)
  await bench.addInterval('sound', 1)
  const { log, lines } = createHeardLog()
  await bench.beat({ log })
  await until('a sound run', async () => (await bench.runs('sound')).length > 0)
  for (const [name, columns] of UNCLAIMABLE) {
    await bench.sql('ALTER TABLE schedule DISABLE TRIGGER schedule_touch')
    await bench.sql(`UPDATE schedule SET ${columns} WHERE name = '${name}'`)
    await bench.sql('ALTER TABLE schedule ENABLE TRIGGER schedule_touch')
  }
  for (const [name, , reason] of UNCLAIMABLE) {
    const row = await until(name, async () => {
      const found = await bench.row(name)
      return found?.finished ? found : undefined
    })
    expect(row.last_error, name).toMatch(reason)
    expect(row.next_run_at, name).toBeNull()
  }
  const { length } = await bench.runs('sound')
  await until('two more sound runs', async () => (await bench.runs('sound')).length >= length + 2)
  expect(await flaws(bench, 'sound', 1000)).toEqual([])
  expect(lines.filter(({ msg }) => msg === 'schedule cannot be evaluated, suspended until it changes')).toHaveLength(
    UNCLAIMABLE.length,
  )
})

describe('beat with infinity in a row', () => {
  benchTest('treats expires "infinity" and start_time "-infinity" as no bound', async (bench) => {
    await bench.addInterval('a', 1, { expires: 'infinity', start_time: '-infinity' })
    await bench.beat()
    await until('a run', async () => (await bench.runs('a')).length > 0)
  })

  benchTest('corrects a next tick of "infinity" when it starts', async (bench) => {
    await bench.addInterval('a', 3600, { next_run_at: 'infinity' })
    await bench.addInterval('b', 1)
    await bench.beat()
    await until('a run of b', async () => (await bench.runs('b')).length > 0)
    await until('the right tick', async () => {
      const next = (await bench.row('a'))?.next_run_at
      return next instanceof Date && next.getTime() < Date.now() + 3_601_000
    })
  })
})

describe('a row that an open transaction has locked', () => {
  /** A beat that counts its passes. */
  const countedBeat = async (bench: BeatBench) => {
    const counts = { passes: 0 }
    await bench.beat({
      schedules: (made: BeatSchedules) => ({
        ...made,
        next: () => {
          counts.passes++
          return made.next()
        },
      }),
    })
    return counts
  }

  benchTest('is skipped without a busy loop and claimed soon after the lock ends', async (bench) => {
    await bench.addInterval('held', 1)
    await bench.addInterval('sound', 1)
    const counts = await countedBeat(bench)
    await until('runs of both', async () => (await bench.runs('held')).length > 0 && (await bench.runs('sound')).length > 0)
    const transaction = await bench.begin()
    await transaction.sql(`SELECT FROM schedule WHERE name = 'held' FOR UPDATE`)
    const before = (await bench.runs('held')).length
    const passes = counts.passes
    const { length } = await bench.runs('sound')
    await until('three more sound runs', async () => (await bench.runs('sound')).length >= length + 3)
    expect((await bench.runs('held')).length).toBe(before)
    expect(counts.passes - passes).toBeLessThan(40)
    await transaction.end('ROLLBACK')
    await until('the held runs', async () => (await bench.runs('held')).length >= before + 3, 2500)
    expect([...(await flaws(bench, 'held', 1000)), ...(await flaws(bench, 'sound', 1000))]).toEqual([])
  })

  benchTest('does not block an unlocked row, even behind six hundred locked rows that are due earlier', async (bench) => {
    await bench.sql(
      `INSERT INTO schedule (name, task, kind, every, period, anchor, next_run_at)
       SELECT 'held ' || n, 't', 'interval', 1, 'hours', now(), now() FROM generate_series(1, 600) AS n`,
    )
    await bench.addInterval('sound', 1)
    const transaction = await bench.begin()
    await transaction.sql(`UPDATE schedule SET description = 'mine' WHERE name LIKE 'held %'`)
    await bench.beat()
    await until('three sound runs', async () => (await bench.runs('sound')).length >= 3)
    expect(await flaws(bench, 'sound', 1000)).toEqual([])
    await transaction.end('COMMIT')
    await until(
      'all held runs',
      async () => (await bench.sql(`SELECT FROM schedule_run WHERE schedule_name LIKE 'held %'`)).length === 600,
    )
  })

  benchTest('delays neither the start of a beat nor the planning of other rows', async (bench) => {
    await bench.addInterval('held', 1)
    const transaction = await bench.begin()
    await transaction.sql(`UPDATE schedule SET description = 'mine' WHERE name = 'held'`)
    const counts = await countedBeat(bench)
    await bench.addInterval('sound', 1)
    await until('two sound runs', async () => (await bench.runs('sound')).length >= 2)
    expect(counts.passes).toBeLessThan(60)
    await transaction.end('COMMIT')
    await until('a run', async () => (await bench.runs('held')).length > 0, 3500)
  })
})
