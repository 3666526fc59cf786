/**
 * `node bench/redis.ts`: the Redis broker beside its floor and, when BULLMQ names a folder where `npm install bullmq ioredis` was run,
 * beside BullMQ at its best concurrency. A Redis server of its own, without persistence, and PostgreSQL of TEST_DATABASE_URL for results.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import { Redis } from 'ioredis'
import { createRegistry } from '../src/app/app.ts'
import { createRedisBroker } from '../src/broker/redis.ts'
import { createBackend } from '../src/commands/backend.ts'
import { parseConfig } from '../src/config.ts'
import { createResults } from '../src/database/results.ts'
import { silentLog } from '../src/log.ts'
import { createBench, median, percentile, root, run, stop, until } from './setup.ts'

const TASKS = 20_000
const REPETITIONS = 3
const SAMPLES = 500

const say = (what: string, figure: string) => process.stdout.write(`${what.padEnd(62)} ${figure.padStart(12)}\n`)
const perSecond = (ms: number) => (TASKS / ms) * 1000
const rate = (values: readonly number[]) => `${median(values).toFixed(0)}/s`

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

/** A schema, an application that sends through Redis, and the environment of a worker beside it. */
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

async function drain(url: string): Promise<{ enqueued: number; drained: number }> {
  const bench = await createRedisBench(url)
  try {
    const beganAt = performance.now()
    for (let from = 0; from < TASKS; from += 100)
      await Promise.all(Array.from({ length: 100 }, (_, index) => bench.app.sendTask('tasks.echo', [from + index])))
    const enqueued = perSecond(performance.now() - beganAt)
    const worker = run(['dist/src/main.js', 'worker', '-c', '10'], bench.env, root)
    try {
      const count = { name: 'count', text: 'SELECT count(*)::int AS done FROM task_result WHERE done_at IS NOT NULL' }
      await until(async () => ((await bench.database.query<{ done: number }>(count))[0]?.done ?? 0) >= TASKS, 20)
      const endedAt = Date.now()
      const began = { name: 'began', text: 'SELECT min(started_at) AS began FROM task_result' }
      const [row] = await bench.database.query<{ began: Date }>(began)
      return { enqueued, drained: perSecond(endedAt - Number(row?.began)) }
    } finally {
      await stop(worker)
    }
  } finally {
    await bench.drop()
  }
}

/** What kombu's bookkeeping costs at least: each message moved and removed by itself, 500 at a time, nothing run, nothing stored. */
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

const BULLMQ = `
import { Queue, Worker } from 'bullmq'
const [url, concurrency, tasks] = process.argv.slice(1)
const { hostname: host, port } = new URL(url)
const connection = { host, port: Number(port), maxRetriesPerRequest: null }
const queue = new Queue('bench', { connection })
for (let from = 0; from < Number(tasks); from += 500)
  await queue.addBulk(Array.from({ length: 500 }, (_, at) => ({ name: 'echo', data: [from + at] })))
let done = 0
const beganAt = performance.now()
const worker = new Worker('bench', async (job) => job.data[0], { connection, concurrency: Number(concurrency) })
await new Promise((resolve) => worker.on('completed', () => { if (++done === Number(tasks)) resolve() }))
console.log((Number(tasks) / (performance.now() - beganAt)) * 1000)
await queue.obliterate({ force: true })
await worker.close()
await queue.close()
`

async function bullmq(url: string, folder: string, concurrency: number): Promise<number> {
  const child = spawn(process.execPath, ['--input-type=module', '-e', BULLMQ, url, String(concurrency), String(TASKS)], {
    cwd: folder,
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let text = ''
  child.stdout.on('data', (data: Buffer) => {
    text += data.toString()
  })
  await once(child, 'close')
  return Number(text)
}

async function latency(url: string): Promise<number[]> {
  const bench = await createRedisBench(url)
  const worker = run(['dist/src/main.js', 'worker'], bench.env, root)
  const results: number[] = []
  try {
    for (let sample = -50; sample < SAMPLES; sample++) {
      const beganAt = performance.now()
      await (await bench.app.sendTask('tasks.echo', [sample])).get({ timeoutMs: 10_000 })
      if (sample >= 0) results.push(performance.now() - beganAt)
      await delay(5 + Math.random() * 10)
    }
  } finally {
    await stop(worker)
    await bench.drop()
  }
  return results.sort((a, b) => a - b)
}

const { url, child } = await startRedis()
try {
  process.stdout.write(`onedyno on Redis, ${new Date().toISOString().slice(0, 10)}, Node ${process.version}\n\n`)
  const folder = process.env.BULLMQ
  const ours: number[] = []
  const enqueued: number[] = []
  const floors: number[] = []
  const theirs = new Map<number, number[]>()
  for (let repetition = 0; repetition < REPETITIONS; repetition++) {
    const measured = await drain(url)
    ours.push(measured.drained)
    enqueued.push(measured.enqueued)
    floors.push(await floor(url))
    for (const concurrency of folder === undefined ? [] : [10, 50, 200])
      theirs.set(concurrency, [...(theirs.get(concurrency) ?? []), await bullmq(url, folder ?? '', concurrency)])
  }
  say('enqueue, 100 calls in flight', rate(enqueued))
  say('drain of 20,000 echo tasks, -c 10, results in PostgreSQL', rate(ours))
  say('  raw LMOVE and LREM, pipelined by 500, nothing stored', rate(floors))
  for (const [concurrency, values] of theirs) say(`  BullMQ, concurrency ${concurrency}, results in Redis`, rate(values))
  const sorted = await latency(url)
  say('delay() → result, p50', `${percentile(sorted, 0.5).toFixed(2)} ms`)
  say('delay() → result, p99', `${percentile(sorted, 0.99).toFixed(2)} ms`)
} finally {
  child.kill()
}
