import { describe, expect } from 'vitest'
import { type BeatBench, benchTest, createHeardLog } from '../support/beats.ts'
import { until } from '../support/until.ts'

describe('beat with rows whose next tick is wrong', () => {
  benchTest('corrects a row that was claimed while the clock was a year ahead, and does not repeat its runs', async (bench) => {
    await bench.addInterval('a', 1)
    await bench.sql("UPDATE schedule SET anchor = date_trunc('second', now())")
    await bench.sql("UPDATE schedule SET next_run_at = anchor + interval '1 year'")
    await bench.sql(
      `INSERT INTO schedule_run (schedule_id, tick, reason, outcome, task_id, schedule_name, task, host)
       SELECT id, anchor + make_interval(secs => n), 'tick', 'queued', 'early ' || n, 'a', 't', 'h' FROM schedule, generate_series(1, 3) AS n`,
    )
    const { log, lines } = createHeardLog()
    await bench.beat({ log })
    await until('two later runs', async () => (await bench.runs('a')).length >= 5)
    const ids = (await bench.runs('a')).map(({ task_id }) => task_id)
    expect(ids.slice(0, 3)).toEqual(['early 1', 'early 2', 'early 3'])
    expect((await bench.row('a'))?.total_run_count).toBe(String(ids.length - 3))
    expect((await bench.sql('SELECT FROM outbox')).length).toBe(ids.length - 3)
    expect(lines.map(({ msg }) => msg)).toContain('next run of a schedule was wrong, corrected')
  })

  /** Noon of a day in half a year. In Berlin noon is 10:00 or 11:00 UTC; the rows wait for 09:00. */
  const addNoon = (bench: BeatBench, tzdata: string, timezone: string) =>
    bench.sql(
      `INSERT INTO schedule (name, task, kind, minute, hour, day_of_week, day_of_month, month_of_year, day_rule, timezone, tzdata, next_run_at)
       SELECT $1 || ' ' || $2, 't', 'crontab', '0', '12', '*', '1', extract(month FROM day)::text, 'and', $2, $1, (day + interval '9 hours') AT TIME ZONE 'UTC'
       FROM date_trunc('month', now() AT TIME ZONE 'UTC' + interval '6 months') AS day`,
      [tzdata, timezone],
    )

  const hourOf = async (bench: BeatBench, name: string) => (await bench.row(name))?.next_run_at?.getUTCHours()

  benchTest('recomputes next ticks that older time zone data planned, and no other next ticks', async (bench) => {
    await addNoon(bench, '1990a', 'Europe/Berlin')
    await addNoon(bench, '9999z', 'Europe/Berlin')
    await addNoon(bench, '1990a', 'UTC')
    await bench.beat()
    await until('the right hour', async () => [10, 11].includes((await hourOf(bench, '1990a Europe/Berlin')) ?? 0))
    expect(await bench.row('1990a Europe/Berlin')).toMatchObject({ tzdata: process.versions.tz, version: '1' })
    expect([await hourOf(bench, '9999z Europe/Berlin'), await hourOf(bench, '1990a UTC')]).toEqual([9, 9])
  })

  benchTest(
    'leaves a due row to another beat if newer time zone data planned it and this host lacks its time zone',
    async (bench) => {
      await addNoon(bench, '9999z', 'Mars/Olympus')
      await bench.sql('UPDATE schedule SET next_run_at = now()')
      await bench.addInterval('sound', 1)
      await bench.beat()
      await until('two sound runs', async () => (await bench.runs('sound')).length >= 2)
      expect(await bench.row('9999z Mars/Olympus')).toMatchObject({ finished: false, last_error: null })
    },
  )
})

describe('beat with a long history of runs', () => {
  benchTest('deletes runs older than 30 days, but never the last run of a schedule', async (bench) => {
    await bench.addInterval('a', 86_400 * 90, { last_task_id: 'last' })
    await bench.sql(
      `INSERT INTO schedule_run (schedule_id, tick, reason, outcome, task_id, schedule_name, task, host, decided_at)
       SELECT id, now() - days * interval '1 day', 'tick', 'queued', task_id, 'a', 't', 'h', now() - days * interval '1 day'
       FROM schedule, (VALUES (60, 'old'), (40, 'last'), (29, 'young')) AS given (days, task_id)`,
    )
    await bench.beat()
    await until('two left', async () => (await bench.runs('a')).length === 2)
    expect((await bench.runs('a')).map(({ task_id }) => task_id)).toEqual(['last', 'young'])
  })

  benchTest('keeps the newest 10,000 runs of a frequent schedule', async (bench) => {
    await bench.addInterval('a', 3600, { total_run_count: 12_345 })
    await bench.addInterval('b', 3600)
    await bench.sql(
      `INSERT INTO schedule_run (schedule_id, tick, reason, outcome, task_id, schedule_name, task, host)
       SELECT id, now() - n * interval '1 s', 'tick', 'queued', name || n, name, 't', 'h'
       FROM schedule, generate_series(1, 10005) AS n WHERE name = 'a' OR n <= 10`,
    )
    await bench.beat()
    await until('fewer', async () => (await bench.runs('a')).length === 10_000)
    expect((await bench.runs('a'))[0]?.task_id).toBe('a10000')
    expect(await bench.runs('b')).toHaveLength(10)
  })
})
