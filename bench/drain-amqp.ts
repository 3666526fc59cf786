import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { promisify } from 'node:util'
import { type ConsumeMessage, connect } from 'amqplib'
import { createRegistry } from '../src/app/app.ts'
import { createAmqpBroker } from '../src/broker/amqp/broker.ts'
import { createBackend } from '../src/commands/backend.ts'
import { parseConfig } from '../src/config.ts'
import { createResults } from '../src/database/results.ts'
import { silentLog } from '../src/log.ts'
import { celeryVersion, drainCelery, sqlalchemyVersion } from './celery.ts'
import { latencyOf } from './latency.ts'
import { createBench, median, root, run, stop, until } from './setup.ts'

const TASKS = 20_000
const exec = promisify(execFile)
const server = process.env.TEST_AMQP_URL ?? 'amqp://guest:guest@127.0.0.1:5672'

/**
 * Drain on RabbitMQ: one worker process (-c 10) drains 20,000 queued echo tasks and stores the results in PostgreSQL. The same
 * run measures the floor with the same messages: amqplib consumes and acknowledges one by one (prefetch 800).
 */
export async function drainAmqp(repetitions = 3) {
  const rates: number[] = []
  const floors: number[] = []
  const enqueued: number[] = []
  for (let repetition = 0; repetition < repetitions; repetition++) {
    const { url, app, bench, close } = await createAmqpBench()
    try {
      enqueued.push(await enqueue(app))
      floors.push(await floor(url))
      await enqueue(app)
      rates.push(await drainOnce({ ...bench.env, AMQP_URL: url }, bench.database))
    } finally {
      await close()
    }
  }
  return { tasksPerSecond: median(rates), floorPerSecond: median(floors), enqueuedPerSecond: median(enqueued) }
}

/**
 * Celery on the same server with the same messages: with results in the same PostgreSQL by its own backend, and with results
 * ignored, which is less work than ours. undefined if Celery is not installed.
 */
export async function peersOfAmqp() {
  const version = await celeryVersion()
  if (version === undefined) return undefined
  const { url, app, broker, bench, close } = await createAmqpBench()
  const place = { url, app, broker, results: undefined }
  const results = { url: bench.env.DATABASE_URL, schema: bench.env.DATABASE_SCHEMA }
  try {
    const ignored = await drainCelery(place, TASKS)
    const canStore = (await sqlalchemyVersion()) !== undefined
    return { version, ignored, stored: canStore ? await drainCelery({ ...place, results }, TASKS) : undefined }
  } finally {
    await close()
  }
}

/** Latency from delay() to the result through RabbitMQ. */
export async function latencyAmqp() {
  const { url, app, bench, close } = await createAmqpBench()
  try {
    return await latencyOf(app, { ...bench.env, AMQP_URL: url })
  } finally {
    await close()
  }
}

async function createAmqpBench() {
  const vhost = `bench_${randomBytes(4).toString('hex')}`
  await exec('rabbitmqctl', ['-q', 'add_vhost', vhost])
  await exec('rabbitmqctl', ['-q', 'set_permissions', '-p', vhost, 'guest', '.*', '.*', '.*'])
  const url = `${server}/${vhost}`
  const bench = await createBench()
  const config = parseConfig({ ...bench.env, AMQP_URL: url })
  if (config.broker.kind !== 'amqp') throw new Error('RabbitMQ was not chosen')
  const broker = createAmqpBroker(bench.database, { ...config, broker: config.broker }, { name: 'bench', log: silentLog() })
  const app = createRegistry(async () => createBackend(bench.database, broker, createResults(bench.database)))
  return {
    url,
    app,
    broker,
    bench,
    async close() {
      await broker.close()
      await bench.drop()
      await exec('rabbitmqctl', ['-q', 'delete_vhost', vhost])
    },
  }
}

async function enqueue(app: ReturnType<typeof createRegistry>): Promise<number> {
  const beganAt = performance.now()
  for (let from = 0; from < TASKS; from += 100)
    await Promise.all(Array.from({ length: 100 }, (_, index) => app.sendTask('tasks.echo', [from + index])))
  return (TASKS / (performance.now() - beganAt)) * 1000
}

async function floor(url: string): Promise<number> {
  const connection = await connect(url, { noDelay: true })
  const channel = await connection.createChannel()
  await channel.prefetch(800)
  const beganAt = performance.now()
  let left = TASKS
  await new Promise<void>((resolve) => {
    void channel.consume('celery', (message) => {
      channel.ack(message as ConsumeMessage)
      if (--left === 0) resolve()
    })
  })
  const rate = (TASKS / (performance.now() - beganAt)) * 1000
  await channel.close()
  await connection.close()
  return rate
}

async function drainOnce(
  env: Record<string, string>,
  database: Awaited<ReturnType<typeof createBench>>['database'],
): Promise<number> {
  const worker = run(['dist/src/main.js', 'worker', '-c', '10'], env, root)
  try {
    const count = { name: 'count', text: 'SELECT count(*)::int AS done FROM {schema}.task_result WHERE done_at IS NOT NULL' }
    await until(async () => ((await database.query<{ done: number }>(count))[0]?.done ?? 0) >= TASKS, 20)
    const endedAt = Date.now()
    const began = { name: 'began', text: 'SELECT min(started_at) AS began FROM {schema}.task_result' }
    const [row] = await database.query<{ began: Date }>(began)
    return (TASKS / (endedAt - Number(row?.began))) * 1000
  } finally {
    await stop(worker)
  }
}
