import { expect } from 'vitest'
import { type BeatBench, benchTest, type ScheduleState } from '../support/beats.ts'
import { until } from '../support/until.ts'

/** Without NOTIFY beat polls every 5 s. */
const AT_ONCE_MS = 300

/** Milliseconds from an SQL change until the row is as expected. The best of three, because the machine can be busy. */
async function noticedAfter(
  bench: BeatBench,
  statements: readonly string[],
  isThere: (row: ScheduleState | undefined) => boolean,
): Promise<number> {
  const times: number[] = []
  for (const statement of statements) {
    await bench.sql(statement)
    const since = performance.now()
    await until(statement, async () => isThere(await bench.row('a')))
    times.push(performance.now() - since)
  }
  return Math.min(...times)
}

const inMs = (row: ScheduleState | undefined) => (row?.next_run_at?.getTime() ?? Number.NaN) - Date.now()

benchTest('beat plans a new schedule at once', async (bench) => {
  await bench.beat()
  const insert = (name: string) =>
    `INSERT INTO schedule (name, task, kind, every, period, anchor) VALUES ('${name}', 't', 'interval', 1, 'hours', now())`
  const took = await noticedAfter(
    bench,
    [insert('a'), `DELETE FROM schedule; ${insert('a')}`, `DELETE FROM schedule; ${insert('a')}`],
    (row) => {
      const wait = inMs(row)
      return wait > 3_590_000 && wait <= 3_600_000
    },
  )
  expect(took).toBeLessThan(AT_ONCE_MS)
})

benchTest('beat plans a schedule again at once, from its anchor, when its interval is edited', async (bench) => {
  await bench.addInterval('a', 3600)
  await bench.beat()
  await until('a plan', async () => (await bench.row('a'))?.next_run_at)
  let every = 3600
  const edits = [1800, 900, 450].map((seconds) => `UPDATE schedule SET every = ${seconds}`)
  const took = await noticedAfter(bench, edits, (row) => {
    const isNew = Number(row?.every) !== every && row?.next_run_at !== null
    if (isNew) every = Number(row?.every)
    return isNew && inMs(row) <= every * 1000
  })
  expect(took).toBeLessThan(AT_ONCE_MS)
})

benchTest('beat runs a schedule within a second after its interval becomes one second', async (bench) => {
  await bench.addInterval('a', 3600)
  await bench.beat()
  await until('a plan', async () => (await bench.row('a'))?.next_run_at)
  await bench.sql('UPDATE schedule SET every = 1')
  await until('a run', async () => (await bench.runs('a')).length > 0, 1000 + AT_ONCE_MS * 3)
})

benchTest('beat neither runs a disabled schedule nor catches up its ticks after it is enabled again', async (bench) => {
  await bench.addInterval('a', 1)
  await bench.beat()
  await until('a run', async () => (await bench.runs('a')).length > 0)
  await bench.sql('UPDATE schedule SET enabled = false')
  const disabled = await bench.row('a')
  expect(disabled?.next_run_at).toBeNull()
  // Another schedule shows that the beat goes on meanwhile.
  await bench.addInterval('b', 1)
  await until('three runs of b', async () => (await bench.runs('b')).length >= 3)
  expect((await bench.row('a'))?.total_run_count).toBe(disabled?.total_run_count)
  const [{ now } = { now: new Date() }] = await bench.sql<{ now: Date }>('UPDATE schedule SET enabled = true RETURNING now()')
  await until('another run of a', async () => (await bench.runs('a')).length > Number(disabled?.total_run_count))
  const [first] = (await bench.runs('a')).slice(Number(disabled?.total_run_count))
  expect(first?.tick.getTime()).toBeGreaterThan(now.getTime())
  expect(first?.missed).toBe(0)
})

benchTest('beat does not run a deleted schedule, and keeps its history', async (bench) => {
  await bench.addInterval('a', 1)
  await bench.addInterval('b', 1)
  await bench.beat()
  await until('a run', async () => (await bench.runs('a')).length > 0)
  await bench.sql(`DELETE FROM schedule WHERE name = 'a'`)
  const left = (await bench.runs('a')).length
  const { length } = await bench.runs('b')
  await until('two more runs of b', async () => (await bench.runs('b')).length >= length + 2)
  expect((await bench.runs('a')).length).toBe(left)
})

benchTest(
  'beat uses the new name, task, arguments, headers and queue of an edited schedule for its unchanged next tick',
  async (bench) => {
    await bench.addInterval('a', 3600)
    await bench.beat()
    const planned = await until('a plan', async () => (await bench.row('a'))?.next_run_at)
    await bench.sql(
      `UPDATE schedule SET name = 'b', task = 'other', args = '[12345678901234567890, "ä"]', kwargs = '{"k": null}', queue = 'q', priority = 7,
       headers = '{"id": "no", "mine": 1}', expire_seconds = 60`,
    )
    expect((await bench.row('b'))?.next_run_at).toEqual(planned)
    await bench.sql(`UPDATE schedule SET next_run_at = date_trunc('second', now())`)
    const [sent] = await until('a message', async () => {
      const rows = await bench.sql('SELECT * FROM outbox')
      return rows.length > 0 ? rows : undefined
    })
    expect(sent).toMatchObject({ task: 'other', queue: 'q', priority: 7, body: '[[12345678901234567890, "ä"],{"k": null},{}]' })
    const [run] = await bench.runs('b')
    const expires = new Date(run!.tick.getTime() + 60_000).toISOString()
    expect(JSON.parse(String(sent?.headers))).toEqual({
      mine: 1,
      expires,
      periodic_task_name: 'b',
      beat: { schedule_id: run?.schedule_id, tick: run?.tick.toISOString(), reason: 'tick' },
    })
  },
)

benchTest('beat treats start_time as inclusive and expires as exclusive', async (bench) => {
  await bench.beat()
  await bench.sql(
    `INSERT INTO schedule (name, task, kind, every, period, anchor, start_time, expires) SELECT 'a', 't', 'interval', 1, 'seconds', at, at + interval '2 s', at + interval '4 s'
     FROM date_trunc('second', now()) AS at`,
  )
  const row = await until('the end', async () => {
    const found = await bench.row('a')
    return found?.finished ? found : undefined
  })
  const anchor = (row.anchor as Date).getTime()
  expect((await bench.runs('a')).map(({ tick }) => tick.getTime() - anchor)).toEqual([2000, 3000])
})
