import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { chmod, mkdtemp, readdir, readFile, readlink, rm, statfs } from 'node:fs/promises'
import { join } from 'node:path'
import { Client, type QueryResult } from 'pg'

/** What the fixture tells: `note` names it, the rest are its fields. */
export interface Told {
  readonly note?: string
  readonly log?: string
  readonly url?: string
  readonly pid?: number
  readonly code?: string
  readonly message?: string
}

/** A process that owns an embedded database, so that a test can kill it. */
export interface Owner {
  readonly process: ChildProcess
  readonly told: readonly Told[]
  /** The first thing told with that note, now or later. */
  hears(note: string): Promise<Told>
  /** Started, or rejects with what it said instead. */
  started(): Promise<{ url: string }>
  kill(signal: NodeJS.Signals): Promise<void>
}

const FIXTURE = join(import.meta.dirname, '../fixtures/embedded-owner.ts')

export function forkOwner(
  dataDir: string,
  options: { env?: NodeJS.ProcessEnv; uid?: number; gid?: number; execArgv?: string[] } = {},
): Owner {
  const { env, ...rest } = options
  const child = fork(FIXTURE, [dataDir], { execArgv: [], env: { ...process.env, ...env }, cwd: '/', ...rest })
  const exited = once(child, 'exit')
  const told: Told[] = []
  child.on('message', (message) => told.push(message as Told))
  const hears = async (note: string) => {
    for (;;) {
      const found = told.find((one) => one.note === note)
      if (found !== undefined) return found
      const [what] = await Promise.race([once(child, 'message'), exited.then(() => ['exit'] as const)])
      if (what === 'exit' && !told.some((one) => one.note === note))
        throw new Error(`the owner ended and told only ${JSON.stringify(told)}`)
    }
  }
  return {
    process: child,
    told,
    hears,
    async started() {
      const { url = '' } = await hears('started')
      return { url }
    },
    async kill(signal) {
      child.kill(signal)
      await exited
    },
  }
}

/**
 * A folder that every user can enter. In memory where there is room: making and removing thousands of files in a row slows ext4 down
 * to a third (it looks for inodes that were not deleted in the last seconds), and a cluster has a thousand.
 */
export async function openTemporaryFolder(): Promise<string> {
  const room = await statfs('/dev/shm')
    .then(({ bavail, bsize }) => bavail * bsize)
    .catch(() => 0)
  const folder = await mkdtemp(join(room > 2 ** 30 ? '/dev/shm' : '/tmp', 'onedyno-embedded-'))
  await chmod(folder, 0o755)
  return folder
}

/** One statement on one connection. */
export async function query(url: string, text: string): Promise<QueryResult> {
  const client = new Client({ connectionString: url })
  client.on('error', () => {})
  await client.connect()
  try {
    return await client.query(text)
  } finally {
    await client.end().catch(() => {})
  }
}

/** The pids of all processes that work in `folder`, which is where every process of a server works. */
export async function processesBelow(folder: string): Promise<number[]> {
  const found: number[] = []
  for (const name of await readdir('/proc')) {
    const cwd = /^\d+$/.test(name) ? await readlink(`/proc/${name}/cwd`).catch(() => '') : ''
    if (cwd.startsWith(`${folder}/`)) found.push(Number(name))
  }
  return found
}

/** The pid of the server with its data in `dataDirectory`. */
export const serverPid = async (dataDirectory: string): Promise<number> =>
  Number.parseInt(await readFile(join(dataDirectory, 'postmaster.pid'), 'utf8'), 10)

/** Ends what a failed test left and removes the folder; the processes it had to end. */
export async function removeTemporaryFolder(folder: string): Promise<number[]> {
  const left = await processesBelow(folder)
  for (const pid of left) process.kill(pid, 'SIGKILL')
  await rm(folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 })
  return left
}
