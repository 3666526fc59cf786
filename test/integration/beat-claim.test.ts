import { expect } from 'vitest'
import { createEvaluator } from '../../src/beat/tick.ts'
import type { TickClaim } from '../../src/database/beat-schedules.ts'
import { type BeatBench, benchTest } from '../support/beats.ts'

/** The cases of docs/internals/schedules.md, "The claim": the row changes between read and claim. */

/** A due schedule with microseconds, which Date cannot hold, and the claim that beat makes of it. */
async function dueClaim(bench: BeatBench): Promise<{ claims: TickClaim[]; table: ReturnType<BeatBench['table']> }> {
  await bench.addInterval('a', 3600)
  await bench.sql("UPDATE schedule SET next_run_at = date_trunc('second', now()) - interval '1.234567 s'")
  const table = bench.table()
  const rows = await table.dueRows(10, [])
  return { table, claims: rows.map(createEvaluator().claim) }
}

const messages = async ({ sql }: BeatBench) => (await sql('SELECT FROM outbox')).length

benchTest('a claim advances the row of the schedule and inserts the run and the message', async (bench) => {
  const { table, claims } = await dueClaim(bench)
  expect(await table.claim(claims, 'test')).toEqual([claims[0]?.id])
  const row = await bench.row('a')
  const [run] = await bench.runs('a')
  expect(row).toMatchObject({ total_run_count: '1', finished: false, last_run_at: run?.tick, last_task_id: run?.task_id })
  expect(row?.next_run_at?.getTime()).toBeGreaterThan(Date.now())
  expect(row?.tzdata).toBe(process.versions.tz)
  expect(await messages(bench)).toBe(1)
})

benchTest('a claim that is sent a second time claims nothing', async (bench) => {
  const { table, claims } = await dueClaim(bench)
  await table.claim(claims, 'test')
  expect(await table.claim(claims, 'test')).toEqual([])
  expect([(await bench.row('a'))?.total_run_count, (await bench.runs('a')).length, await messages(bench)]).toEqual(['1', 1, 1])
})

for (const [what, statement] of [
  ['edited', 'UPDATE schedule SET every = 1800'],
  ['disabled', 'UPDATE schedule SET enabled = false'],
  ['disabled and enabled', 'UPDATE schedule SET enabled = false; UPDATE schedule SET enabled = true'],
  ['deleted', 'DELETE FROM schedule'],
] as const)
  benchTest(`a claim skips a schedule that was ${what} after it was read`, async (bench) => {
    const { table, claims } = await dueClaim(bench)
    await bench.sql(statement)
    expect(await table.claim(claims, 'test')).toEqual([])
    expect([(await bench.runs('a')).length, await messages(bench)]).toEqual([0, 0])
  })

benchTest('a claim that was decided before an edit claims nothing, even if the tick is the same', async (bench) => {
  const { table, claims } = await dueClaim(bench)
  await bench.sql('UPDATE schedule SET every = 1800')
  await bench.sql('UPDATE schedule SET next_run_at = $1', [claims[0]?.old])
  expect(await table.claim(claims, 'test')).toEqual([])
})

benchTest('a claim skips a row that another beat has locked, without waiting', async (bench) => {
  const { table, claims } = await dueClaim(bench)
  const other = await bench.begin()
  await other.sql('SELECT FROM schedule FOR UPDATE')
  const since = performance.now()
  expect(await table.claim(claims, 'test')).toEqual([])
  expect(performance.now() - since).toBeLessThan(500)
  await other.end('ROLLBACK')
})

benchTest('each row is claimed once when two beats claim at the same time', async (bench) => {
  for (let name = 0; name < 50; name++) await bench.addInterval(`${name}`, 3600, { next_run_at: new Date() })
  const [one, other] = [bench.table(), bench.table()]
  const claims = (await one.dueRows(100, [])).map(createEvaluator().claim)
  const claimed = await Promise.all([one.claim(claims, 'one'), other.claim([...claims].reverse(), 'other')])
  expect(claimed.flat().sort()).toEqual(claims.map(({ id }) => id).sort())
  expect(await messages(bench)).toBe(50)
})

benchTest('a claim advances a row without a second run if the history already has the tick', async (bench) => {
  const { table, claims } = await dueClaim(bench)
  await table.claim(claims, 'test')
  await bench.sql('DELETE FROM outbox')
  await bench.sql('UPDATE schedule SET next_run_at = $1, total_run_count = 0', [claims[0]?.old])
  expect(await table.claim(claims, 'test')).toHaveLength(1)
  expect([(await bench.row('a'))?.total_run_count, (await bench.runs('a')).length, await messages(bench)]).toEqual(['0', 1, 0])
})

benchTest(
  'a claim writes the missing history of a tick whose message already waits in the outbox, and adds no second message',
  async (bench) => {
    const { table, claims } = await dueClaim(bench)
    await bench.sql(`INSERT INTO outbox (task_id, queue, task, body, due_at) VALUES ($1, 'q', 't', '[[],{},{}]', now())`, [
      claims[0]?.last_task,
    ])
    expect(await table.claim(claims, 'test')).toHaveLength(1)
    expect([(await bench.runs('a')).length, await messages(bench)]).toEqual([1, 1])
  },
)

benchTest('a row whose definition changed after it was read is not planned, corrected or suspended', async (bench) => {
  await bench.addInterval('a', 3600)
  const table = bench.table()
  const [row] = await table.rowsToPlan(10, [])
  const planned = createEvaluator().plan(row!)
  await bench.sql('UPDATE schedule SET every = 1800')
  expect(await table.plan([planned])).toEqual([])
  expect(await table.correct([{ id: row!.id, version: row!.version, old: null, next: new Date() }])).toEqual([])
  expect(await table.suspend(row!, 'no reason')).toEqual([])
  expect(await bench.row('a')).toMatchObject({ next_run_at: null, finished: false, last_error: null })
})
