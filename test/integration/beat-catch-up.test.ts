import { describe, expect } from 'vitest'
import { type BeatBench, benchTest, flaws } from '../support/beats.ts'
import { until } from '../support/until.ts'

/** Adds an hourly schedule whose next tick is in half an hour and whose oldest missed tick is `hours` and a half ago. */
async function addMissed(bench: BeatBench, hours: number, more: Record<string, unknown>): Promise<void> {
  await bench.add({ name: 'a', kind: 'interval', every: 1, period: 'hours', anchor: new Date(0), enabled: false, ...more })
  await bench.sql(
    `UPDATE schedule SET anchor = date_trunc('second', now()) - make_interval(hours => $1, mins => 90), enabled = true`,
    [hours],
  )
  await bench.sql(`UPDATE schedule SET next_run_at = anchor + interval '1 hour'`)
}

/** The run history: hours since each tick, reason, outcome, and the number of ticks that it replaces. */
const history = async (bench: BeatBench) =>
  (await bench.runs('a')).map(
    ({ tick, reason, outcome, missed }) =>
      `${Math.round(((Date.now() - tick.getTime()) / 3_600_000) * 2) / 2} h ${reason} ${outcome}${missed > 0 ? ` +${missed}` : ''}`,
  )

/** Waits until the next tick is half an hour from now, which means that the schedule has caught up. */
const caughtUp = (bench: BeatBench) =>
  until('the next tick to be in the future', async () => {
    const row = await bench.row('a')
    const waitMs = (row?.next_run_at?.getTime() ?? 0) - Date.now()
    return waitMs > 1_700_000 && waitMs <= 1_800_000
  })

const messages = async ({ sql }: BeatBench) => (await sql('SELECT FROM outbox')).length

describe('beat after an outage', () => {
  const cases: [string, number, Record<string, unknown>, string[]][] = [
    ['queues the newest missed tick with catchup "one"', 9, { catchup: 'one' }, ['0.5 h catchup queued +9']],
    [
      'queues no missed tick and records the newest missed tick with catchup "skip"',
      9,
      { catchup: 'skip' },
      ['0.5 h catchup skipped_catchup +9'],
    ],
    [
      'queues each missed tick, at most catchup_limit per claim, with catchup "all"',
      4,
      { catchup: 'all', catchup_limit: 2 },
      ['4.5', '3.5', '2.5', '1.5', '0.5'].map((hours) => `${hours} h catchup queued`),
    ],
    [
      'records all ticks older than a grace of two hours as one skipped run with catchup "all"',
      5,
      { catchup: 'all', misfire_grace_seconds: 7200 },
      ['2.5 h catchup skipped_misfire +3', '1.5 h catchup queued', '0.5 h catchup queued'],
    ],
    [
      'queues no missed tick with catchup "one" and a grace of a minute',
      3,
      { catchup: 'one', misfire_grace_seconds: 60 },
      ['0.5 h catchup skipped_misfire +3'],
    ],
    [
      'queues the newest missed tick with catchup "one" and a grace of an hour',
      3,
      { catchup: 'one', misfire_grace_seconds: 3600 },
      ['0.5 h catchup queued +3'],
    ],
  ]
  for (const [name, hours, policy, expected] of cases)
    benchTest(name, async (bench) => {
      await addMissed(bench, hours, policy)
      await bench.beat()
      await caughtUp(bench)
      expect(await history(bench)).toEqual(expected)
      const queued = expected.filter((line) => line.includes('queued')).length
      expect([await messages(bench), (await bench.row('a'))?.total_run_count]).toEqual([queued, String(queued)])
    })

  benchTest('counts the expiry of a message from its tick, not from the moment of the catch-up', async (bench) => {
    await addMissed(bench, 1, { expire_seconds: 60 })
    await bench.beat()
    await caughtUp(bench)
    const [run] = await bench.runs('a')
    const [sent] = await bench.sql('SELECT headers FROM outbox')
    expect(JSON.parse(String(sent?.headers)).expires).toBe(new Date(run!.tick.getTime() + 60_000).toISOString())
  })

  benchTest('does not delay other schedules while one schedule catches up on a month of seconds', async (bench) => {
    await bench.addInterval('behind', 1, {
      catchup: 'all',
      catchup_limit: 10_000,
      anchor: new Date(Date.now() - 30 * 86_400_000),
    })
    await bench.sql('UPDATE schedule SET next_run_at = anchor')
    await bench.addInterval('sound', 1)
    await bench.beat()
    await until('three sound runs', async () => (await bench.runs('sound')).length >= 3)
    expect(await flaws(bench, 'sound', 1000)).toEqual([])
    const late = (await bench.runs('sound')).map(({ tick, decided_at }) => (decided_at as Date).getTime() - tick.getTime())
    expect(Math.max(...late)).toBeLessThan(1000)
    expect(Number((await bench.row('behind'))?.total_run_count)).toBeGreaterThan(100)
    await bench.sql(`DELETE FROM schedule WHERE name = 'behind'`)
  })
})

describe('beat with schedules that run once', () => {
  const finished = (bench: BeatBench) =>
    until('the end', async () => {
      const row = await bench.row('a')
      return row?.finished ? row : undefined
    })

  benchTest('finishes a one_off schedule after one run and leaves it enabled', async (bench) => {
    await bench.addInterval('a', 1, { one_off: true })
    await bench.addInterval('b', 1)
    await bench.beat()
    await finished(bench)
    await until('two runs of b', async () => (await bench.runs('b')).length >= 2)
    expect(await bench.row('a')).toMatchObject({ enabled: true, next_run_at: null, total_run_count: '1' })
  })

  benchTest('runs a clocked schedule at its time, not before', async (bench) => {
    await bench.add({ name: 'a', kind: 'clocked', one_off: true, clocked_time: new Date(Date.now() + 1500) })
    await bench.beat()
    const row = await finished(bench)
    const runs = await bench.runs('a')
    expect(runs.map(({ tick }) => tick)).toEqual([row.clocked_time])
    expect(runs.every(({ tick, decided_at }) => (decided_at as Date) >= tick)).toBe(true)
    expect(await messages(bench)).toBe(1)
  })

  benchTest('runs a clocked schedule of the past once, even if it is enabled again', async (bench) => {
    await bench.add({ name: 'a', kind: 'clocked', one_off: true, clocked_time: new Date(Date.now() - 5000) })
    await bench.beat()
    await finished(bench)
    await bench.sql('UPDATE schedule SET enabled = false')
    await bench.sql('UPDATE schedule SET enabled = true')
    await finished(bench)
    expect([(await bench.runs('a')).length, await messages(bench)]).toEqual([1, 1])
  })

  benchTest('records a clocked schedule as too late if its time plus its grace has passed', async (bench) => {
    const clocked_time = new Date(Date.now() - 120_000)
    await bench.add({ name: 'a', kind: 'clocked', one_off: true, clocked_time, misfire_grace_seconds: 60 })
    await bench.beat()
    await finished(bench)
    expect((await bench.runs('a')).map(({ outcome }) => outcome)).toEqual(['skipped_misfire'])
    expect(await messages(bench)).toBe(0)
  })
})
