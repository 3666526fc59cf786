import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { chmod, mkdtemp, readdir, readFile, readlink, rm, statfs } from 'node:fs/promises'
import { join } from 'node:path'
import { Client, type QueryResult } from 'pg'

/** A message of the fixture: `note` is its name, the other fields are its data. */
export interface Told {
  readonly note?: string
  readonly log?: string
  readonly url?: string
  readonly pid?: number
  readonly code?: string
  readonly message?: string
}

/** A process that owns an embedded database. A test can kill it. */
export interface Owner {
  readonly process: ChildProcess
  readonly told: readonly Told[]
  /** Resolves with the first message of this name. */
  hears(note: string): Promise<Told>
  /** Resolves when the database runs, or rejects with the output. */
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
 * Creates a folder that every user can enter, in memory if there is space. A cluster has a thousand files, and ext4 is three times slower
 * when thousands of files are created and deleted in a row, because it avoids recently deleted inodes.
 */
export async function openTemporaryFolder(): Promise<string> {
  const room = await statfs('/dev/shm')
    .then(({ bavail, bsize }) => bavail * bsize)
    .catch(() => 0)
  const folder = await mkdtemp(join(room > 2 ** 30 ? '/dev/shm' : '/tmp', 'onedyno-embedded-'))
  await chmod(folder, 0o755)
  return folder
}

/** Runs one statement on a new connection. */
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

/** Pids of all processes whose working directory is `folder`. All processes of a PostgreSQL server work in its data directory. */
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

/** Kills processes that a failed test left and removes the folder. @returns the killed pids */
export async function removeTemporaryFolder(folder: string): Promise<number[]> {
  const left = await processesBelow(folder)
  for (const pid of left) process.kill(pid, 'SIGKILL')
  await rm(folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 })
  return left
}
