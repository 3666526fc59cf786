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
  /** Where the server of an earlier run listens, from its postmaster.pid. */
  readonly addressOf: (file: PostmasterFile) => Address
  readonly note: (message: string, fields?: object) => void
  readonly signal: AbortSignal
}

/** For a server that is still starting (recovering after a crash) or stopping. */
const SETTLE_MS = 30_000

/**
 * What an owner that was killed has left of its server. One that lives and answers is adopted; one that lives and does not answer is stopped;
 * of a dead one the remains are cleared as far as PostgreSQL does not do that itself. After undefined a new server can be started.
 * @throws AppError ALREADY_RUNNING when the data are in use by a server that is not ours to stop
 */
export async function takeOverLeftover(options: LeftoverOptions): Promise<Postmaster | undefined> {
  const { dataDirectory } = options.home
  const file = await readPostmasterFile(dataDirectory)
  if (file === undefined) return undefined
  const answer = await ask(options, file)
  // On Windows only the server itself tells whose it is.
  const isHere = (await isPostgresOf(file.pid, dataDirectory)) && (process.platform !== 'win32' || answer === 'this')
  if (answer === 'this' && !isHere) throw new AppError('ALREADY_RUNNING', `a server of another container uses ${dataDirectory}`)
  if (isHere) {
    requireOurs(options, file)
    const found = adoptPostmaster(file.pid, options.addressOf(file), options)
    if (await isServing(options, file, found)) {
      options.note('running database server adopted', { pid: file.pid })
      return found
    }
    options.note('database server of an earlier run does not answer, it is stopped', { pid: file.pid })
    await stopPostmaster(found)
  }
  await endOrphans(options)
  // PostgreSQL refuses to start while any process has the pid in the file: somebody else's, or the dead server's own as a zombie that
  // nobody reaps (node as pid 1 of a container). A pid that is free it clears up itself, with more checks than we have.
  if (isPidTaken(file.pid)) await rm(postmasterFilePath(dataDirectory), { force: true })
  return undefined
}

/** A server that somebody runs on these data by hand is not ended under their hands. One whose folder was moved away from its socket is ours. */
function requireOurs({ home }: LeftoverOptions, { pid, isStandalone, socketDirectory }: PostmasterFile): void {
  const isForeign = socketDirectory !== '' && !isOwnSocketDirectory(socketDirectory, home) && existsSync(socketDirectory)
  if (!isStandalone && !isForeign) return
  const what = isStandalone ? 'a single-user PostgreSQL session' : 'a PostgreSQL server that onedyno did not start'
  throw new AppError('ALREADY_RUNNING', `${what}, process ${pid}, uses ${home.dataDirectory}`)
}

/** Waits for one that is starting or stopping. */
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
 * Backends whose postmaster was killed end by themselves as soon as they look up from their work, and until then hold the shared memory,
 * without which no new server starts. They get two seconds, then SIGQUIT, then SIGKILL: their clients have lost the server anyway.
 */
async function endOrphans({ home, note, signal }: LeftoverOptions): Promise<void> {
  for (const [after, step] of [
    [2_000, 'SIGQUIT'],
    [2_000, 'SIGKILL'],
    [3_000, undefined],
  ] as const) {
    const until = Date.now() + after
    let orphans = await processesIn([home.dataDirectory], true)
    // No event tells the end of somebody else's child.
    while (orphans.length > 0 && Date.now() < until) {
      await sleep(50, signal)
      signal.throwIfAborted()
      orphans = await processesIn([home.dataDirectory], true)
    }
    if (orphans.length === 0) return
    if (step === undefined)
      throw new AppError('DATABASE_START_FAILED', `processes ${orphans.join(', ')} of an earlier database server do not end`)
    note('processes of an earlier database server are ended', { pids: orphans, signal: step })
    for (const pid of orphans) sendSignal(pid, step)
  }
}
