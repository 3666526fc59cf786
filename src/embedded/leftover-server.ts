import { randomUUID } from 'node:crypto'
import { existsSync } from 'node:fs'
import { rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { sleep } from '../concurrency/sleep.ts'
import { AppError } from '../errors.ts'
import type { Address } from './address.ts'
import { adoptPostmaster, type Postmaster, type PostmasterOptions, stopPostmaster } from './postmaster.ts'
import { type PostmasterFile, postmasterFilePath, readPostmasterFile, untilReady } from './postmaster-file.ts'
import { isPidTaken, isPostgresOf, processesIn, sendSignal } from './process-identity.ts'
import { type Answer, askServer } from './server-connection.ts'
import { isOwnSocketDirectory } from './socket-directory.ts'

export type LeftoverOptions = Omit<PostmasterOptions, 'address'> & {
  /** Returns the address of the server of an earlier run, from its postmaster.pid. */
  readonly addressOf: (file: PostmasterFile) => Address
  readonly note: (message: string, fields?: object) => void
  readonly signal: AbortSignal
}

/** Milliseconds to wait for a server that is still starting (recovering after a crash) or stopping. */
const SETTLE_MS = 30_000

/**
 * Handles a server whose owner was killed. Adopts it if it answers, and stops it if it does not. If it is dead, removes the
 * files that PostgreSQL does not remove itself. If this returns undefined, a new server can be started.
 * @throws AppError ALREADY_RUNNING if a server that onedyno did not start uses the data
 */
export async function takeOverLeftover(options: LeftoverOptions): Promise<Postmaster | undefined> {
  const { dataDirectory } = options.home
  const file = await readPostmasterFile(dataDirectory)
  if (file === undefined) return undefined
  const answer = await ask(options, file)
  // On Windows only the server itself can report its data directory.
  const isHere = (await isPostgresOf(file.pid, dataDirectory)) && (process.platform !== 'win32' || answer === 'this')
  if (answer === 'this' && !isHere) throw new AppError('ALREADY_RUNNING', `a server of another container uses ${dataDirectory}`)
  if (isHere) {
    requireOurs(options, file)
    const found = adoptPostmaster(file.pid, options.addressOf(file), options)
    if (await isServing(options, file, found)) {
      options.note('running database server adopted', { pid: file.pid })
      return found
    }
    options.note('database server of an earlier run does not answer, stopping it', { pid: file.pid })
    await stopPostmaster(found)
  }
  await endOrphans(options)
  // PostgreSQL refuses to start while any process has the pid in the file: an unrelated process, or the dead server as a zombie
  // that is never reaped (node as pid 1 of a container). If the pid is free, PostgreSQL removes the file itself, after more
  // checks than this code makes.
  if (isPidTaken(file.pid)) await rm(postmasterFilePath(dataDirectory), { force: true })
  return undefined
}

/**
 * Throws if a person started the server on these data. A server whose folder was moved away from its socket still belongs to
 * onedyno.
 */
function requireOurs({ home }: LeftoverOptions, { pid, isStandalone, socketDirectory }: PostmasterFile): void {
  const isForeign = socketDirectory !== '' && !isOwnSocketDirectory(socketDirectory, home) && existsSync(socketDirectory)
  if (!isStandalone && !isForeign) return
  const what = isStandalone ? 'a single-user PostgreSQL session' : 'a PostgreSQL server that onedyno did not start'
  throw new AppError('ALREADY_RUNNING', `${what}, process ${pid}, uses ${home.dataDirectory}`)
}

/** Returns whether the server serves. Waits while it is starting or stopping. */
async function isServing(options: LeftoverOptions, file: PostmasterFile, found: Postmaster): Promise<boolean> {
  const settled = new AbortController()
  const signal = AbortSignal.any([settled.signal, options.signal, AbortSignal.timeout(SETTLE_MS)])
  try {
    await Promise.race([untilReady(options.home.dataDirectory, file.pid, signal).catch(() => {}), found.exited])
    options.signal.throwIfAborted()
  } finally {
    settled.abort()
  }
  const answer = await ask(options, file)
  return answer === 'this' || answer === 'busy'
}

async function ask({ home, addressOf }: LeftoverOptions, file: PostmasterFile): Promise<Answer> {
  if (file.status === '' && file.port === 0) return 'none'
  const marker = `onedyno-${randomUUID()}`
  const path = join(home.dataDirectory, marker)
  await writeFile(path, '')
  try {
    return await askServer(addressOf(file), marker)
  } finally {
    await rm(path, { force: true })
  }
}

/**
 * Backends whose postmaster was killed exit at their next check. Until then they hold the shared memory, which prevents the
 * start of a new server. They get two seconds, then SIGQUIT, then SIGKILL, because their clients have lost the server anyway.
 */
async function endOrphans({ home, note, signal }: LeftoverOptions): Promise<void> {
  for (const [after, step] of [
    [2_000, 'SIGQUIT'],
    [2_000, 'SIGKILL'],
    [3_000, undefined],
  ] as const) {
    const until = Date.now() + after
    let orphans = await processesIn([home.dataDirectory], true)
    // Polls, because the end of a process that is not a child causes no event.
    while (orphans.length > 0 && Date.now() < until) {
      await sleep(50, signal)
      signal.throwIfAborted()
      orphans = await processesIn([home.dataDirectory], true)
    }
    if (orphans.length === 0) return
    if (step === undefined)
      throw new AppError('DATABASE_START_FAILED', `processes ${orphans.join(', ')} of an earlier database server do not end`)
    note('ending processes of an earlier database server', { pids: orphans, signal: step })
    for (const pid of orphans) sendSignal(pid, step)
  }
}
