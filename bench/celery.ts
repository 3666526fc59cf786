import { execFile, spawn } from 'node:child_process'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { App } from '../src/app/app.ts'
import type { Broker } from '../src/broker/broker.ts'
import { stop, until } from './setup.ts'

const PYTHON = '/usr/bin/python3'
const POOLS = ['prefork -c 2', 'prefork -c 4', 'threads -c 10', 'solo'] as const
/** Number of tasks that shows which pool is the fastest. */
const TRIAL = 2000
/** A pool that needs longer for them is not the fastest. */
const TRIAL_MS = 25_000
const DRAIN_MS = 180_000
/** Celery 5.2 sometimes stops to take messages (seen with `solo` and `threads`). Then the next fastest pool is measured. */
const STANDS_STILL_MS = 10_000

export interface CeleryPlace {
  /** URL of the virtual host. */
  readonly url: string
  readonly app: App
  readonly broker: Broker
  /** Database and schema for the tables of Celery's own result backend. undefined: results are ignored. */
  readonly results: { readonly url: string; readonly schema: string } | undefined
}

/** Version of Celery in the system's Python; undefined if it is not installed. */
export const celeryVersion = (): Promise<string | undefined> => versionOf('celery')
/** Celery's result backend for PostgreSQL needs this package. */
export const sqlalchemyVersion = (): Promise<string | undefined> => versionOf('sqlalchemy', 'psycopg2')

async function versionOf(name: string, ...others: string[]): Promise<string | undefined> {
  const program = `import ${[name, ...others].join(', ')}; print(${name}.__version__)`
  return promisify(execFile)(PYTHON, ['-c', program]).then(
    ({ stdout }) => stdout.trim(),
    () => undefined,
  )
}

/**
 * Real Celery drains the messages that `app` sends to the virtual host: first each pool for a short time, then the fastest pool
 * for all `tasks`. Gossip, mingle and heartbeats are off and the log level is info, because this makes Celery faster.
 */
export async function drainCelery(place: CeleryPlace, tasks: number): Promise<{ pool: string; tasksPerSecond: number }> {
  const trials: { pool: string; tasksPerSecond: number }[] = []
  for (const pool of POOLS) {
    const tasksPerSecond = await drainOnce(place, { pool, tasks: TRIAL, withinMs: TRIAL_MS })
    if (tasksPerSecond === undefined) process.stdout.write(`!! Celery's ${pool} did not end ${TRIAL} tasks, left out\n`)
    else trials.push({ pool, tasksPerSecond })
  }
  for (const { pool } of trials.sort((a, b) => b.tasksPerSecond - a.tasksPerSecond)) {
    const tasksPerSecond = await drainOnce(place, { pool, tasks, withinMs: DRAIN_MS })
    if (tasksPerSecond !== undefined) return { pool, tasksPerSecond }
    process.stdout.write(`!! Celery's ${pool} did not end ${tasks} tasks, left out\n`)
  }
  throw new Error('no pool of Celery drains its queue')
}

/**
 * Tasks per second between a first and a last task, which record their times; undefined if the worker stops to take messages in
 * between.
 */
async function drainOnce(
  place: CeleryPlace,
  { pool, tasks, withinMs }: { pool: string; tasks: number; withinMs: number },
): Promise<number | undefined> {
  const { url, app, broker, results } = place
  const folder = await mkdtemp(join(tmpdir(), 'onedyno-bench-'))
  const marks = join(folder, 'marks')
  await app.sendTask('bench.mark', ['began'])
  for (let from = 0; from < tasks; from += 100)
    await Promise.all(Array.from({ length: 100 }, (_, index) => app.sendTask('tasks.echo', [from + index])))
  await app.sendTask('bench.mark', ['ended'])
  const { PATH = '', HOME = '' } = process.env
  const quiet = ['--without-gossip', '--without-mingle', '--without-heartbeat']
  const worker = spawn(
    PYTHON,
    ['-m', 'celery', '-A', 'celery_peer', 'worker', '-l', 'info', ...quiet, '-P', ...pool.split(' ')],
    {
      cwd: import.meta.dirname,
      env: {
        ...{ PATH, HOME, BROKER: url, MARKS: marks, C_FORCE_ROOT: '1', PYTHONDONTWRITEBYTECODE: '1' },
        ...(results === undefined ? {} : { RESULTS: `db+${results.url}`, RESULTS_SCHEMA: results.schema }),
      },
      stdio: 'ignore',
    },
  )
  try {
    const read = () => readFile(marks, 'utf8').catch(() => '')
    let last = { ready: Number.NaN, at: performance.now() }
    const isStill = async () => {
      const [{ ready } = { ready: 0 }] = await broker.depths(['celery'])
      if (ready !== last.ready) last = { ready, at: performance.now() }
      return performance.now() - last.at > STANDS_STILL_MS
    }
    const giveUpAt = performance.now() + withinMs
    const isOver = async () => (await read()).includes('ended') || performance.now() > giveUpAt || (await isStill())
    await until(isOver, 100, withinMs + STANDS_STILL_MS)
    const text = await read()
    if (!text.includes('ended')) return undefined
    const at = (name: string) => Number(new RegExp(`^${name} (.+)$`, 'm').exec(text)?.[1])
    return tasks / (at('ended') - at('began'))
  } finally {
    const hurry = setTimeout(() => worker.kill('SIGKILL'), STANDS_STILL_MS)
    await stop(worker)
    clearTimeout(hurry)
    await broker.purge('celery')
    await rm(folder, { recursive: true })
  }
}
