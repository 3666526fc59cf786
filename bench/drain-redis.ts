import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { Redis } from 'ioredis'
import { createRegistry } from '../src/app/app.ts'
import { createRedisBroker } from '../src/broker/redis/broker.ts'
import { listOf, toWirePriority } from '../src/broker/redis/keys.ts'
import { createBackend } from '../src/commands/backend.ts'
import { parseConfig } from '../src/config.ts'
import { createResults } from '../src/database/results.ts'
import { silentLog } from '../src/log.ts'
import { BULLMQ_MODES, type BullmqMode, drainBullmq } from './bullmq.ts'
import { latencyOf } from './latency.ts'
import { createBench, median, root, run, stop, until } from './setup.ts'

const TASKS = 20_000
const REPETITIONS = 3

const perSecond = (ms: number) => (TASKS / ms) * 1000

/**
 * Drain on Redis: one worker process (-c 10) drains 20,000 queued echo tasks and stores the results in PostgreSQL. The same run
 * measures the floor and, if `bullmq` names a folder with bullmq and ioredis installed, BullMQ in its fastest mode. The Redis
 * server belongs to this run and has no persistence.
 */
export async function drainRedis(bullmq: string | undefined) {
  const { url, child } = await startRedis()
  const ours: { enqueued: number; drained: number }[] = []
  const ignored: number[] = []
  const floors: number[] = []
  const theirs = new Map<BullmqMode, number[]>()
  try {
    for (let repetition = 0; repetition < REPETITIONS; repetition++) {
      ours.push(await drain(url))
      ignored.push((await drain(url, { ignoreResult: true })).drained)
      floors.push(await floor(url))
      for (const mode of bullmq === undefined ? [] : BULLMQ_MODES)
        theirs.set(mode, [...(theirs.get(mode) ?? []), await drainBullmq(bullmq ?? '', url, TASKS, mode)])
    }
  } finally {
    child.kill()
  }
  return {
    enqueuedPerSecond: median(ours.map(({ enqueued }) => enqueued)),
    tasksPerSecond: median(ours.map(({ drained }) => drained)),
    ignoredPerSecond: median(ignored),
    floorPerSecond: median(floors),
    bullmq: [...theirs].map(([mode, rates]) => ({ ...mode, tasksPerSecond: median(rates) })),
  }
}

/** Latency from delay() to the result through Redis. */
export async function latencyRedis() {
  const { url, child } = await startRedis()
  try {
    const bench = await createRedisBench(url)
    try {
      return await latencyOf(bench.app, bench.env)
    } finally {
      await bench.drop()
    }
  } finally {
    child.kill()
  }
}

async function startRedis(): Promise<{ url: string; child: ChildProcess }> {
  const probe = createServer().listen(0, '127.0.0.1')
  await once(probe, 'listening')
  const { port } = probe.address() as { port: number }
  probe.close()
  await once(probe, 'close')
  const child = spawn('redis-server', ['--port', String(port), '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no'], {
    stdio: 'ignore',
  })
  const url = `redis://127.0.0.1:${port}`
  const redis = new Redis(url, { protocol: 2, retryStrategy: () => 20, maxRetriesPerRequest: null })
  redis.on('error', () => {})
  await redis.ping()
  await redis.quit()
  return { url, child }
}

/** Creates a schema, an application that sends through Redis, and the environment of its worker. */
async function createRedisBench(url: string) {
  const bench = await createBench()
  const env = { ...bench.env, REDIS_URL: url }
  const broker = createRedisBroker(bench.database, parseConfig(env), silentLog(), { url })
  const app = createRegistry(async () => createBackend(bench.database, broker, createResults(bench.database)))
  return {
    ...bench,
    env,
    broker,
    app,
    async drop() {
      await broker.close()
      await bench.drop()
    },
  }
}

async function drain(url: string, { ignoreResult = false } = {}): Promise<{ enqueued: number; drained: number }> {
  const bench = await createRedisBench(url)
  try {
    const beganAt = performance.now()
    const send = (index: number) => bench.app.sendTask('tasks.echo', [index], { ignoreResult })
    for (let from = 0; from < TASKS; from += 100) await Promise.all(Array.from({ length: 100 }, (_, index) => send(from + index)))
    const enqueued = perSecond(performance.now() - beganAt)
    const worker = run(['dist/src/main.js', 'worker', '-c', '10'], bench.env, root)
    try {
      const takenAt = await untilAcknowledged(url)
      const endedAt = Date.now()
      const count = { name: 'count', text: 'SELECT count(*)::int AS done FROM {schema}.task_result WHERE done_at IS NOT NULL' }
      const [stored] = await bench.database.query<{ done: number }>(count)
      if (stored?.done !== (ignoreResult ? 0 : TASKS)) throw new Error(`${stored?.done} results were stored`)
      const began = { name: 'began', text: 'SELECT min(started_at) AS began FROM {schema}.task_result' }
      const [row] = await bench.database.query<{ began: Date | null }>(began)
      return { enqueued, drained: perSecond(endedAt - Number(row?.began ?? takenAt)) }
    } finally {
      await stop(worker)
    }
  } finally {
    await bench.drop()
  }
}

/**
 * Waits until every message is stored and acknowledged. It polls Redis, because a poll there is cheap while PostgreSQL stores
 * results.
 * @returns time at which the first message was taken, in milliseconds since the epoch
 */
async function untilAcknowledged(url: string): Promise<number> {
  const redis = new Redis(url, { protocol: 2 })
  const list = listOf('', 'celery', toWirePriority(0))
  let takenAt = Number.POSITIVE_INFINITY
  await until(async () => {
    const [waiting, taken] = [await redis.llen(list), await redis.hlen('unacked')]
    if (waiting < TASKS) takenAt = Math.min(takenAt, Date.now())
    return waiting + taken === 0
  }, 5)
  await redis.quit()
  return takenAt
}

/**
 * The minimum cost of kombu's bookkeeping: each message is moved and removed, 500 at a time. No task runs and no result is
 * stored.
 */
async function floor(url: string): Promise<number> {
  const redis = new Redis(url, { protocol: 2 })
  const body = 'x'.repeat(900)
  for (let from = 0; from < TASKS; from += 500)
    await redis.lpush('floor', ...Array.from({ length: 500 }, (_, at) => `${from + at}${body}`))
  const beganAt = performance.now()
  for (let left = TASKS; left > 0; left -= 500) {
    const take = redis.pipeline()
    for (let each = 0; each < 500; each++) take.lmove('floor', 'floor.taken', 'RIGHT', 'LEFT')
    const taken = (await take.exec()) ?? []
    const remove = redis.pipeline()
    for (const [, entry] of taken) remove.lrem('floor.taken', -1, String(entry))
    await remove.exec()
  }
  const figure = perSecond(performance.now() - beganAt)
  await redis.del('floor', 'floor.taken')
  await redis.quit()
  return figure
}
