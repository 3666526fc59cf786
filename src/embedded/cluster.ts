import { mkdir, mkdtemp, open, readdir, readFile, rename, rm, statfs, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { AppError } from '../errors.ts'
import { type Address, NAME } from './address.ts'
import { DRAFT, type Home } from './data-home.ts'
import type { Server } from './find-server.ts'
import { processesIn, sendSignal } from './process-identity.ts'
import { runProgram } from './run-program.ts'
import { giveTo } from './server-user.ts'

/** Bytes: the size of a new data directory (39 MB, measured with versions 15 and 18), and space for the first data. */
const NEEDED_BYTES = 64 * 1024 * 1024

/** Returns the major version that made the data directory. Undefined if there is no data directory yet. */
export async function clusterMajor(dataDirectory: string): Promise<number | undefined> {
  const text = await readFile(join(dataDirectory, 'PG_VERSION'), 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined
    throw error
  })
  return text === undefined ? undefined : Number.parseInt(text, 10)
}

/**
 * Makes the data directory: runs initdb in a directory beside it, syncs that directory to disk and renames it. So the data
 * directory is complete or absent, even after a crash of the machine. (initdb --no-sync would save 0.1 s, but a power failure in
 * the first half minute would destroy the database.)
 * @throws AppError DATABASE_START_FAILED with the last lines of initdb; the signal's reason
 */
export async function createCluster(
  home: Home,
  server: Server,
  options: { address: Address; signal: AbortSignal },
): Promise<void> {
  await requireSpace(home.path)
  const draft = await mkdtemp(join(home.path, DRAFT))
  try {
    const data = join(draft, 'data')
    await mkdir(data, { mode: 0o700 })
    const args = [
      '-D',
      data,
      '-U',
      NAME,
      '-E',
      'UTF8',
      '--locale=C',
      '--no-instructions',
      ...(await authentication(options.address, draft)),
    ]
    for (const path of [draft, data]) await giveTo(home.user, path)
    const { code, output } = await runProgram(join(server.binDirectory, 'initdb'), args, {
      cwd: draft,
      user: home.user,
      signal: options.signal,
    })
    if (code !== 0)
      throw new AppError(
        'DATABASE_START_FAILED',
        `initdb of PostgreSQL ${server.version} ended with ${code}: ${lastLines(output)}`,
      )
    await rename(data, home.dataDirectory)
    await syncDirectory(home.path)
  } finally {
    await rm(draft, { recursive: true, force: true })
  }
}

/**
 * Removes the draft directories of starts that were killed during initdb, and the processes whose working directory is such a
 * draft.
 */
export async function removeDrafts(home: Home): Promise<void> {
  for (const name of await readdir(home.path)) {
    if (!name.startsWith(DRAFT)) continue
    const draft = join(home.path, name)
    for (const pid of await processesIn([draft, join(draft, 'data')], false)) sendSignal(pid, 'SIGKILL')
    await rm(draft, { recursive: true, force: true, maxRetries: 5, retryDelay: 50 })
  }
}

/**
 * Returns the options of initdb for authentication: no password on a socket in a 0700 directory, a password on TCP. pg_hba.conf
 * refuses the other kind of connection.
 */
async function authentication(address: Address, draft: string): Promise<string[]> {
  if (address.kind === 'socket') return ['--auth-local=trust', '--auth-host=reject']
  const file = join(draft, 'password')
  await writeFile(file, `${address.password}\n`, { mode: 0o600 })
  return ['--auth-local=reject', '--auth-host=scram-sha-256', `--pwfile=${file}`]
}

async function requireSpace(folder: string): Promise<void> {
  const { bavail, bsize } = await statfs(folder)
  if (bavail * bsize >= NEEDED_BYTES) return
  const free = Math.floor((bavail * bsize) / 1024 / 1024)
  throw new AppError(
    'DATABASE_FOLDER_UNUSABLE',
    `the disk of ${folder} has ${free} MB left; a new database needs ${NEEDED_BYTES / 1024 / 1024} MB`,
  )
}

const lastLines = (output: string) => output.trim().split('\n').slice(-3).join(' | ')

async function syncDirectory(path: string): Promise<void> {
  if (process.platform === 'win32') return
  const handle = await open(path)
  await handle.sync().finally(() => handle.close())
}
