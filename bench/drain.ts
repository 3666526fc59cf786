import { setTimeout as delay } from 'node:timers/promises'
import { Client } from 'pg'
import { createBench, median, root, run, stop, until } from './setup.ts'

const TASKS = 20_000

/**
 * Drain on PostgreSQL: one worker process (-c 10, log level info) drains 20,000 queued echo tasks and stores every result. The
 * same run measures the floor: a client that deletes 500 rows at a time with SKIP LOCKED and stores nothing.
 */
export async function drain(
  repetitions = 3,
): Promise<{ tasksPerSecond: number; floorPerSecond: number; enqueuedPerSecond: number }> {
  const rates: number[] = []
  const floors: number[] = []
  const enqueued: number[] = []
  for (let repetition = 0; repetition < repetitions; repetition++) {
    const bench = await createBench()
    try {
      floors.push(await floor(bench.env))
      const beganAt = performance.now()
      for (let from = 0; from < TASKS; from += 100) {
        await Promise.all(Array.from({ length: 100 }, (_, index) => bench.app.sendTask('tasks.echo', [from + index])))
      }
      enqueued.push((TASKS / (performance.now() - beganAt)) * 1000)
      rates.push(await drainOnce(bench))
    } finally {
      await bench.drop()
    }
  }
  return { tasksPerSecond: median(rates), floorPerSecond: median(floors), enqueuedPerSecond: median(enqueued) }
}

async function drainOnce({ env, database }: Awaited<ReturnType<typeof createBench>>): Promise<number> {
  const worker = run(['dist/src/main.js', 'worker', '-c', '10'], env, root)
  try {
    const count = { name: 'count', text: 'SELECT count(*)::int AS done FROM {schema}.task_result WHERE done_at IS NOT NULL' }
    await until(async () => ((await database.query<{ done: number }>(count))[0]?.done ?? 0) >= TASKS, 20)
    const endedAt = Date.now()
    const [row] = await database.query<{ began: Date }>({
      name: 'began',
      text: 'SELECT min(started_at) AS began FROM {schema}.task_result',
    })
    return (TASKS / (endedAt - Number(row?.began))) * 1000
  } finally {
    await stop(worker)
  }
}

async function floor(env: { DATABASE_URL: string; DATABASE_SCHEMA: string }): Promise<number> {
  const client = new Client({ connectionString: env.DATABASE_URL, options: `-c search_path=${env.DATABASE_SCHEMA}` })
  await client.connect()
  await client.query('CREATE TABLE raw (id bigserial PRIMARY KEY, body text NOT NULL)')
  await client.query(`INSERT INTO raw (body) SELECT '[["' || n || '"],{},{}]' FROM generate_series(1, $1) n`, [TASKS])
  await delay(50)
  const beganAt = performance.now()
  const text = 'DELETE FROM raw WHERE id IN (SELECT id FROM raw ORDER BY id LIMIT 500 FOR UPDATE SKIP LOCKED) RETURNING id, body'
  for (let left = TASKS; left > 0; ) left -= (await client.query({ name: 'raw', text })).rowCount ?? 0
  const rate = (TASKS / (performance.now() - beganAt)) * 1000
  await client.query('DROP TABLE raw')
  await client.end()
  return rate
}
