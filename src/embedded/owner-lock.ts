import { randomUUID } from 'node:crypto'
import { link, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { AppError } from '../errors.ts'
import { isSameStart, pidNamespace, startOf } from './process-identity.ts'

interface Owner {
  readonly pid: number
  /** The result of `startOf`. The lock file outlives kill -9, and its pid may be reused, so the pid alone is not enough. */
  readonly start: string
  readonly pidNamespace: string
  readonly since: string
}

/**
 * Makes this process the only one that runs a database in `folder`. Node has no flock(2), so the lock is a file that names its
 * owner. link(2) creates it complete; the lock of a dead owner is replaced.
 * @returns a function that removes the lock
 * @throws AppError ALREADY_RUNNING
 */
export async function takeOwnership(folder: string): Promise<() => Promise<void>> {
  const path = join(folder, 'owner.lock')
  const me: Owner = {
    pid: process.pid,
    start: (await startOf(process.pid)) ?? '',
    pidNamespace: await pidNamespace(),
    since: new Date().toISOString(),
  }
  const text = `${JSON.stringify(me)}\n`
  for (let attempt = 0; attempt < 5; attempt++) {
    if (await createWhole(path, text)) return () => giveBack(path, text)
    const found = await readFile(path, 'utf8').catch(() => undefined)
    if (found === undefined) continue // another process removed the lock between the two calls
    const owner = parseOwner(found)
    if (owner !== undefined && (await isHeld(owner, me.pidNamespace))) throw alreadyRunning(folder, owner)
    await setAside(path, found)
  }
  throw new AppError('ALREADY_RUNNING', `several onedyno processes are starting in ${folder} at the same time`)
}

async function isHeld(owner: Owner, myNamespace: string): Promise<boolean> {
  // The pid of another container has no meaning in this one. If its server still runs, leftover-server.ts refuses it later.
  if (owner.pidNamespace !== myNamespace) return false
  const start = await startOf(owner.pid)
  return start !== undefined && isSameStart(start, owner.start)
}

const alreadyRunning = (folder: string, owner: Owner) =>
  new AppError('ALREADY_RUNNING', `process ${owner.pid} runs the database of ${folder} since ${owner.since}`)

/** Creates a file with its whole content at once. @returns false if the file already exists */
async function createWhole(path: string, text: string): Promise<boolean> {
  const draft = `${path}.${process.pid}.${randomUUID()}`
  try {
    await writeFile(draft, text, { flush: true })
    await link(draft, path).catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'EEXIST') throw error
      return writeFile(path, text, { flag: 'wx' }) // the file system has no hard links (exFAT, some shared folders)
    })
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false
    throw error
  } finally {
    await rm(draft, { force: true })
  }
}

/** Removes the lock only if its content is still `judged`, because another process may have replaced it meanwhile. */
async function setAside(path: string, judged: string): Promise<void> {
  const aside = `${path}.${randomUUID()}`
  try {
    await rename(path, aside)
    if ((await readFile(aside, 'utf8')) !== judged) await link(aside, path).catch(() => {})
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
  } finally {
    await rm(aside, { force: true })
  }
}

async function giveBack(path: string, text: string): Promise<void> {
  if ((await readFile(path, 'utf8').catch(() => undefined)) === text) await rm(path, { force: true })
}

/** Returns undefined for a file that a crash of the machine left empty or incomplete. Such a file has no owner. */
function parseOwner(text: string): Owner | undefined {
  try {
    const owner = JSON.parse(text) as Partial<Owner>
    return typeof owner.pid === 'number' && typeof owner.start === 'string' ? (owner as Owner) : undefined
  } catch {
    return undefined
  }
}
