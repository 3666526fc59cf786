import { execFile, spawn } from 'node:child_process'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { App } from '../src/app/app.ts'
import { stop, until } from './setup.ts'

const PYTHON = '/usr/bin/python3'
const POOLS = ['prefork -c 2', 'prefork -c 4', 'threads -c 10', 'solo'] as const
/** Tasks that are enough to see which pool is best. */
const TRIAL = 3000

/** The version of the Celery that the system's Python has; undefined when it has none. */
export async function celeryVersion(): Promise<string | undefined> {
  const asked = promisify(execFile)(PYTHON, ['-c', 'import celery; print(celery.__version__)'])
  return asked.then(
    ({ stdout }) => stdout.trim(),
    () => undefined,
  )
}

/**
 * Real Celery draining the messages that `enqueue` puts into the virtual host of `url`: each pool a short time, then the best one all of
 * `tasks`. Results ignored (nothing is stored), no gossip, mingle and heartbeats, its log at info: all that makes it faster.
 */
export async function drainCelery(url: string, app: App, tasks: number): Promise<{ pool: string; tasksPerSecond: number }> {
  const trials: { pool: string; tasksPerSecond: number }[] = []
  for (const pool of POOLS) trials.push({ pool, tasksPerSecond: await drainOnce(url, app, { pool, tasks: TRIAL }) })
  const { pool = 'solo' } = trials.sort((a, b) => b.tasksPerSecond - a.tasksPerSecond)[0] ?? {}
  return { pool, tasksPerSecond: await drainOnce(url, app, { pool, tasks }) }
}

/** Tasks per second between a first and a last task that write down when they ran. */
async function drainOnce(url: string, app: App, { pool, tasks }: { pool: string; tasks: number }): Promise<number> {
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
      env: { PATH, HOME, BROKER: url, MARKS: marks, C_FORCE_ROOT: '1', PYTHONDONTWRITEBYTECODE: '1' },
      stdio: 'ignore',
    },
  )
  try {
    const read = () => readFile(marks, 'utf8').catch(() => '')
    await until(async () => (await read()).includes('ended'), 100, 300_000)
    const text = await read()
    const at = (name: string) => Number(new RegExp(`^${name} (.+)$`, 'm').exec(text)?.[1])
    return tasks / (at('ended') - at('began'))
  } finally {
    await stop(worker)
    await rm(folder, { recursive: true })
  }
}
