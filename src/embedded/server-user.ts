import { execFile } from 'node:child_process'
import { chown, mkdtemp, readFile, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { AppError } from '../errors.ts'

const run = promisify(execFile)

/** The user that runs the server, because PostgreSQL refuses to run as root. */
export interface ServerUser {
  readonly uid: number
  readonly gid: number
  readonly name: string
}

/**
 * Chooses the user that runs the server. Undefined: the server runs as the user of this process. If this process is root: the
 * owner of the data if there are data, else `postgres` if this user exists, else `nobody`, which exists everywhere. Creates no
 * user. initdb refuses a uid without an entry in /etc/passwd.
 * @throws AppError DATABASE_FOLDER_UNUSABLE if the data belong to a user that this process cannot become
 */
export async function chooseServerUser(dataDirectory: string): Promise<ServerUser | undefined> {
  const me = process.geteuid?.()
  if (me === undefined) return undefined
  const owner = await stat(dataDirectory)
    .then(({ uid }) => uid)
    .catch(() => undefined)
  if (me !== 0) {
    if (owner === undefined || owner === me) return undefined
    throw new AppError(
      'DATABASE_FOLDER_UNUSABLE',
      `the database in ${dataDirectory} belongs to user ${owner}; this process runs as user ${me}`,
    )
  }
  const users = parsePasswd(await readFile('/etc/passwd', 'utf8').catch(() => ''))
  const user =
    owner === undefined || owner === 0
      ? (users.find(isUsual('postgres')) ?? users.find(isUsual('nobody')))
      : users.find(({ uid }) => uid === owner)
  if (user !== undefined) return user
  const wanted =
    owner === undefined || owner === 0 ? 'neither `postgres` nor `nobody`' : `no user ${owner}, the owner of ${dataDirectory}`
  throw new AppError('DATABASE_FOLDER_UNUSABLE', `PostgreSQL refuses to run as root, and /etc/passwd has ${wanted}`)
}

const isUsual = (name: string) => (user: ServerUser) => user.name === name && user.uid !== 0

/** Parses lines of passwd(5): name:password:uid:gid:… */
export function parsePasswd(text: string): ServerUser[] {
  const users: ServerUser[] = []
  for (const line of text.split('\n')) {
    const [name = '', , uid = '', gid = ''] = line.split(':')
    if (name !== '' && /^\d+$/.test(uid) && /^\d+$/.test(gid)) users.push({ name, uid: Number(uid), gid: Number(gid) })
  }
  return users
}

/** Returns the options of spawn that make a child run as `user`. */
export const asUser = (user: ServerUser | undefined) => (user === undefined ? {} : { uid: user.uid, gid: user.gid })

/** Makes the server's user the owner of a directory of onedyno. */
export async function giveTo(user: ServerUser | undefined, path: string): Promise<void> {
  if (user !== undefined) await chown(path, user.uid, user.gid)
}

/**
 * Returns true if `user` can keep files in `folder`. Tests it by writing a file as this user: mode bits do not show ACLs, root-
 * squashed mounts, or shared folders of a virtual machine that ignore chown.
 */
export async function canKeepFiles(user: ServerUser | undefined, folder: string): Promise<boolean> {
  const probe = await mkdtemp(join(folder, 'probe-'))
  try {
    await giveTo(user, probe)
    if (user === undefined) return true
    return (await stat(probe)).uid === user.uid && (await canDo(user, 'cd -- "$1" && : > file && rm file', probe))
  } catch {
    return false
  } finally {
    await rm(probe, { recursive: true, force: true })
  }
}

/** Returns true if `user` can enter `directory` and all folders above it. */
export const canEnter = async (user: ServerUser | undefined, directory: string): Promise<boolean> =>
  user === undefined || canDo(user, 'cd -- "$1"', directory)

/** Runs a shell command as `user`. initdb itself needs a shell, so every machine on which initdb works has one. */
async function canDo(user: ServerUser, script: string, argument: string): Promise<boolean> {
  try {
    await run('/bin/sh', ['-c', script, 'sh', argument], { ...asUser(user), cwd: '/', env: {} })
    return true
  } catch (cause) {
    if (typeof (cause as { code: unknown }).code === 'number') return false // the shell ran, and its exit code is not 0
    throw new AppError(
      'DATABASE_START_FAILED',
      `this process is root but cannot run a program as user ${user.name} (${user.uid})`,
      { cause },
    )
  }
}
