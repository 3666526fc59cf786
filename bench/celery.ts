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
/** Tasks that are enough to see which pool is best. */
const TRIAL = 2000
/** A pool that needs longer for them is not the best. */
const TRIAL_MS = 25_000
const DRAIN_MS = 180_000
/** Celery 5.2 at times takes no more messages although there are some (seen with `solo` and `threads`): then the next best pool counts. */
const STANDS_STILL_MS = 10_000

export interface CeleryPlace {
  /** Of the virtual host. */
  readonly url: string
  readonly app: App
  readonly broker: Broker
  /** Where results are stored: the tables of Celery's own backend in this database and schema. Undefined: results are ignored. */
  readonly results: { readonly url: string; readonly schema: string } | undefined
}

/** The version of the Celery that the system's Python has; undefined when it has none. */
export const celeryVersion = (): Promise<string | undefined> => versionOf('celery')
/** Celery's backend for PostgreSQL needs it. */
export const sqlalchemyVersion = (): Promise<string | undefined> => versionOf('sqlalchemy', 'psycopg2')

async function versionOf(name: string, ...others: string[]): Promise<string | undefined> {
  const program = `import ${[name, ...others].join(', ')}; print(${name}.__version__)`
  return promisify(execFile)(PYTHON, ['-c', program]).then(
    ({ stdout }) => stdout.trim(),
    () => undefined,
  )
}

/**
 * Real Celery draining the messages that `app` puts into the virtual host: each pool a short time, then the best one all of `tasks`.
 * No gossip, mingle and heartbeats, its log at info: all that makes it faster.
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

/** Tasks per second between a first and a last task that write down when they ran; undefined when it stands still in between. */
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
