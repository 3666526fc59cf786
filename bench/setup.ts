import { type ChildProcess, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { Client } from 'pg'
import { createRegistry } from '../src/app/app.ts'
import { createPostgresBroker } from '../src/broker/postgres/broker.ts'
import { createBackend } from '../src/commands/backend.ts'
import { parseConfig } from '../src/config.ts'
import { createDatabase } from '../src/database/database.ts'
import { migrate } from '../src/database/migrate.ts'
import { createResults } from '../src/database/results.ts'
import { silentLog } from '../src/log.ts'

export const root = join(import.meta.dirname, '..')
const url = process.env.TEST_DATABASE_URL ?? 'postgresql://postgres@127.0.0.1:5432/test'

/** Creates a schema on the server of TEST_DATABASE_URL and an application that sends into it. `drop` removes both. */
export async function createBench() {
  const env = { DATABASE_URL: url, DATABASE_SCHEMA: `bench_${randomBytes(4).toString('hex')}` }
  const config = parseConfig(env)
  await migrate(config, silentLog())
  const database = createDatabase(config, { name: 'bench', log: silentLog() })
  const broker = createPostgresBroker(database, config, silentLog())
  const app = createRegistry(async () => createBackend(database, broker, createResults(database)))
  return {
    env,
    database,
    broker,
    app,
    async drop() {
      await database.close()
      const client = new Client({ connectionString: url })
      await client.connect()
      await client.query(`DROP SCHEMA "${env.DATABASE_SCHEMA}" CASCADE`)
      await client.end()
    },
  }
}

/** Starts a command of the built package with a clean environment. Only its stderr is shown. */
export function run(args: readonly string[], env: Record<string, string>, cwd = root): ChildProcess {
  const { PATH = '', HOME = '' } = process.env
  return spawn(process.execPath, [...args], { cwd, env: { PATH, HOME, ...env }, stdio: ['ignore', 'ignore', 'inherit'] })
}

export async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode === null && child.signalCode === null) {
    child.kill('SIGTERM')
    await once(child, 'close')
  }
}

export async function until(what: () => boolean | Promise<boolean>, everyMs: number, timeoutMs = 60_000): Promise<void> {
  const giveUpAt = performance.now() + timeoutMs
  while (!(await what())) {
    if (performance.now() > giveUpAt) throw new Error('a benchmark did not end in time')
    await delay(everyMs)
  }
}

export const percentile = (sorted: readonly number[], share: number): number =>
  sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN
export const median = (values: readonly number[]): number =>
  percentile(
    [...values].sort((a, b) => a - b),
    0.5,
  )

/** Returns a process and all its descendants, from /proc. */
export async function tree(pid: number): Promise<{ pid: number; command: string; pssMb: number }[]> {
  const parents = new Map<number, number>()
  for (const entry of await readdir('/proc')) {
    const stat = /^\d+$/.test(entry) ? await readFile(`/proc/${entry}/stat`, 'utf8').catch(() => '') : ''
    if (stat !== '') parents.set(Number(entry), Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]))
  }
  const found = new Set([pid])
  for (let size = 0; size !== found.size; ) {
    size = found.size
    for (const [child, parent] of parents) if (found.has(parent)) found.add(child)
  }
  return Promise.all(
    [...found].map(async (each) => ({
      pid: each,
      command: (await readFile(`/proc/${each}/cmdline`, 'utf8')).replaceAll('\0', ' ').trim().slice(0, 60),
      pssMb: Number(/^Pss:\s+(\d+)/m.exec(await readFile(`/proc/${each}/smaps_rollup`, 'utf8'))?.[1]) / 1024,
    })),
  )
}
