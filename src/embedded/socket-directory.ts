import { once } from 'node:events'
import { chmod, lstat, mkdir, mkdtemp, rm, rmdir } from 'node:fs/promises'
import { createServer } from 'node:net'
import { basename, join } from 'node:path'
import { AppError } from '../errors.ts'
import { SOCKET_PORT, socketName } from './address.ts'
import { type Home, shortHash } from './data-home.ts'
import { canEnter, giveTo } from './server-user.ts'

/** Bytes. `sun_path` of unix(7) has 108 bytes on Linux, 104 on macOS and the BSDs; the last byte is zero. */
const LONGEST_PATH_BYTES = process.platform === 'linux' ? 107 : 103

/** Prefix of socket directories that are not beside the data. */
const PREFIX = 'onedyno-run-'

/**
 * Makes a 0700 directory for the socket: beside the data if the path is short enough and the file system supports sockets (some
 * shared folders of virtual machines do not), else in the temporary directory. The path is the same at each start, so that a
 * saved URL stays valid.
 */
export async function prepareSocketDirectory(home: Home, temporary: string): Promise<string> {
  const name = `${PREFIX}${shortHash(home.path)}`
  const attempts = [
    () => makePrivate(join(home.path, 'run'), home),
    () => makePrivate(join(temporary, name), home),
    () => makePrivate(join('/tmp', name), home),
    () => mkdtemp(`/tmp/${PREFIX}`).then((path) => makePrivate(path, home)),
  ]
  const failures: unknown[] = []
  for (const attempt of attempts) {
    try {
      return await attempt()
    } catch (error) {
      failures.push(error)
    }
  }
  throw new AppError(
    'DATABASE_FOLDER_UNUSABLE',
    `no directory for a unix socket: neither ${home.path}, ${temporary} nor /tmp can be used`,
    {
      cause: new AggregateError(failures),
    },
  )
}

/**
 * Makes the directory ready for a new server, when no server listens in it. If a killed server left its lock file and its pid is
 * reused, the file would prevent the start; and a cleaner of temporary files may have removed the directory.
 */
export async function renewSocketDirectory(directory: string, home: Home): Promise<void> {
  await makePrivate(directory, home)
  await clear(directory)
}

/** Returns false for the directory of a server that a person started. */
export const isOwnSocketDirectory = (directory: string, home: Home): boolean =>
  directory === join(home.path, 'run') || basename(directory).startsWith(PREFIX)

export async function removeSocketDirectory(directory: string): Promise<void> {
  await clear(directory)
  await rmdir(directory).catch(() => {}) // a directory that contains other files stays
}

async function clear(directory: string): Promise<void> {
  for (const suffix of ['', '.lock']) await rm(join(directory, `${socketName(SOCKET_PORT)}${suffix}`), { force: true })
}

async function makePrivate(directory: string, { user }: Home): Promise<string> {
  if (Buffer.byteLength(join(directory, socketName(SOCKET_PORT))) > LONGEST_PATH_BYTES)
    throw new Error(`${directory} is too long for a socket`)
  await mkdir(directory, { mode: 0o700 }).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'EEXIST') throw error
  })
  const { uid } = await lstat(directory).then((found) => (found.isDirectory() ? found : { uid: -1 }))
  if (uid !== process.geteuid?.() && uid !== user?.uid) throw new Error(`${directory} belongs to another user`)
  await chmod(directory, 0o700)
  await giveTo(user, directory)
  if (!(await canEnter(user, directory))) throw new Error(`${user?.name} cannot enter ${directory}`)
  await bindOnce(join(directory, '.probe'))
  return directory
}

async function bindOnce(path: string): Promise<void> {
  await rm(path, { force: true })
  const server = createServer().listen(path)
  await once(server, 'listening')
  server.close()
  await once(server, 'close')
}
