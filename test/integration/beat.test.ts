import { setTimeout as delay } from 'node:timers/promises'
import { describe, expect } from 'vitest'
import { type BeatBench, benchTest, flaws, terminateBackends } from '../support/beats.ts'
import { until } from '../support/until.ts'

const NAMES = Array.from({ length: 10 }, (_, index) => `every second ${index}`)

const allFlaws = async (bench: BeatBench) => (await Promise.all(NAMES.map((name) => flaws(bench, name, 1000)))).flat()

/** Waits until every schedule has at least this number of runs. */
const haveRun = (bench: BeatBench, times: number) =>
  until(
    `${times} runs of each`,
    async () => {
      const [row] = await bench.sql<{ least: string }>('SELECT min(total_run_count) AS least FROM schedule')
      return Number(row?.least) >= times
    },
    30_000,
  )

/** Runs without a message in the outbox, and messages without a run. */
const UNLIKE = `
  SELECT FROM schedule_run r FULL JOIN outbox o USING (task_id)
  WHERE r.task_id IS NULL OR o.task_id IS NULL OR o.due_at <> r.tick OR o.body <> '[[],{},{}]'
    OR o.headers::jsonb <> jsonb_build_object('periodic_task_name', r.schedule_name, 'beat', jsonb_build_object(
      'schedule_id', r.schedule_id, 'reason', 'tick', 'tick', to_char(r.tick AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')))`

const LOST = `
  SELECT FROM schedule_run r
  WHERE NOT EXISTS (SELECT FROM message m WHERE m.task_id = r.task_id) AND NOT EXISTS (SELECT FROM outbox o WHERE o.task_id = r.task_id)`

const MEDIAN_LATENESS = `
  SELECT extract(epoch FROM percentile_disc(0.5) WITHIN GROUP (ORDER BY decided_at - tick))::float8 AS seconds FROM schedule_run`

describe('ten schedules that tick every second', () => {
  benchTest('have exactly one run and one message for each tick when two beats run', async (bench) => {
    for (const name of NAMES) await bench.addInterval(name, 1)
    await bench.beat()
    const { beat } = await bench.beat()
    await haveRun(bench, 6)
    await beat.stop() // One of the two beats stops halfway.
    await haveRun(bench, 12)
    expect(await allFlaws(bench)).toEqual([])
    expect(await bench.sql(UNLIKE)).toEqual([])
    const [lateness] = await bench.sql<{ seconds: number }>(MEDIAN_LATENESS)
    expect(lateness?.seconds).toBeLessThan(0.5)
  })

  benchTest('lose and repeat no tick while the server ends all connections every second', async (bench) => {
    for (const name of NAMES) await bench.addInterval(name, 1)
    const { database } = await bench.beat()
    await bench.relay(database)
    await bench.beat()
    await bench.beat()
    await bench.relay()
    for (let times = 0; times < 14; times++) {
      await delay(900 + Math.random() * 200) // Real time must pass between the cuts.
      expect((await terminateBackends(bench)).length).toBeGreaterThan(0)
    }
    await haveRun(bench, 14)
    expect(await allFlaws(bench)).toEqual([])
    await until('nothing that is due to be left', async () => {
      const left = await bench.sql("SELECT FROM outbox WHERE due_at < now() - interval '0.5 s'")
      return left.length === 0
    })
    expect(await bench.sql('SELECT task_id FROM message GROUP BY task_id HAVING count(*) > 1')).toEqual([])
    expect(await bench.sql(LOST)).toEqual([])
  })
})
