import { createHash } from 'node:crypto'
import { chmod, lstat, mkdir, mkdtemp, readFile, realpath, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { AppError } from '../errors.ts'
import { canEnter, canKeepFiles, chooseServerUser, type ServerUser } from './server-user.ts'

/** The place of the data, and the user that owns the data. */
export interface Home {
  /** This directory holds the data directory, the socket's directory and, if needed, a copy of the bundled server. */
  readonly path: string
  readonly dataDirectory: string
  /** Undefined: the server runs as the user of this process. */
  readonly user: ServerUser | undefined
}

interface HomeOptions {
  /** The folder `<project>/.onedyno`, as `prepareFolder` returned it. */
  readonly folder: string
  /** The directory for temporary files. */
  readonly temporary: string
  readonly note: (message: string, fields?: object) => void
}

/** Makes `.onedyno/` with a .gitignore, and returns its real path. */
export async function prepareFolder(path: string): Promise<string> {
  const created = await mkdir(path, { recursive: true })
  // The server's user must be able to enter the folder, whatever the umask is. A folder that existed before keeps its mode.
  if (created !== undefined) await chmod(path, 0o755)
  await writeFile(join(path, '.gitignore'), '*\n', { flag: 'wx' }).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'EEXIST') throw error
  })
  return realpath(path)
}

/**
 * Chooses the place of the data: `.onedyno/` if the server's user can keep files there. If it cannot (root, in a project below a
 * 0700 folder), /var/lib/onedyno/<hash of the folder>, or as a last resort the temporary directory; then
 * `.onedyno/location.json` names the place.
 * @throws AppError DATABASE_FOLDER_UNUSABLE
 */
export async function findHome(options: HomeOptions): Promise<Home> {
  const { folder, note } = options
  const known = (await hasData(folder)) ? folder : await readLocation(options)
  if (known !== undefined) return existingHome(known)
  const user = await chooseServerUser(dataIn(folder))
  if (await canKeepFiles(user, folder)) return homeIn(folder, user)
  const path = await makeElsewhere(options, user)
  await writeFile(locationOf(folder), `${JSON.stringify({ folder, home: path })}\n`, { flush: true })
  note('database is outside the project', { path, reason: `user ${user?.name} cannot use ${folder}` })
  return homeIn(path, user)
}

/** Prefix of a directory that is renamed when it is complete. A start removes such directories of earlier starts. */
export const DRAFT = 'draft-'

const dataIn = (home: string) => join(home, 'postgres')
const locationOf = (folder: string) => join(folder, 'location.json')
const homeIn = (path: string, user: ServerUser | undefined): Home => ({ path, dataDirectory: dataIn(path), user })
const exists = (path: string) =>
  stat(path)
    .then(() => true)
    .catch(() => false)
const hasData = (home: string) => exists(dataIn(home))

/** Throws if data exist but cannot be reached, because an empty database must never replace them. */
async function existingHome(path: string): Promise<Home> {
  const home = homeIn(path, await chooseServerUser(dataIn(path)))
  if (await canEnter(home.user, home.dataDirectory)) return home
  throw new AppError(
    'DATABASE_FOLDER_UNUSABLE',
    `user ${home.user?.name}, who owns the database in ${home.dataDirectory}, cannot enter that folder: one above it is closed to others`,
  )
}

async function readLocation({ folder, note }: HomeOptions): Promise<string | undefined> {
  const location = await parseLocation(folder)
  if (location === undefined) return undefined
  // A copied folder contains the location file of the original, and two projects must not share one database. A moved folder may
  // keep its database.
  if (location.folder !== folder && (await parseLocation(location.folder))?.home === location.home) return undefined
  if (await hasData(location.home)) return location.home
  note('database of an earlier run is missing, creating a new one', { path: location.home })
  return undefined
}

async function parseLocation(folder: string): Promise<{ folder: string; home: string } | undefined> {
  try {
    const { folder: of, home } = JSON.parse(await readFile(locationOf(folder), 'utf8')) as Record<string, unknown>
    return typeof of === 'string' && typeof home === 'string' ? { folder: of, home } : undefined
  } catch {
    return undefined
  }
}

async function makeElsewhere({ folder, temporary }: HomeOptions, user: ServerUser | undefined): Promise<string> {
  const id = shortHash(folder)
  const attempts = [
    async () => {
      await makeOwn('/var/lib/onedyno')
      return makeOwn(join('/var/lib/onedyno', id))
    },
    () => makeOwn(join(temporary, `onedyno-${id}`)),
    () => mkdtemp(join(temporary, 'onedyno-')).then(makeOwn),
  ]
  const failures: unknown[] = []
  for (const attempt of attempts) {
    try {
      const path = await attempt()
      if (await canKeepFiles(user, path)) return path
    } catch (error) {
      failures.push(error)
    }
  }
  throw new AppError(
    'DATABASE_FOLDER_UNUSABLE',
    `user ${user?.name} can keep files neither in ${folder}, /var/lib/onedyno nor ${temporary}`,
    {
      cause: new AggregateError(failures),
    },
  )
}

/** Makes a directory that only this user can change. In /tmp another user may have made a directory of the same name before. */
async function makeOwn(path: string): Promise<string> {
  await mkdir(path, { recursive: true })
  const found = await lstat(path)
  if (!found.isDirectory() || found.uid !== process.geteuid?.() || (found.mode & 0o022) !== 0)
    throw new Error(`${path} can be changed by other users`)
  await chmod(path, 0o755)
  return path
}

/** Returns a name for the project in directories that projects share. */
export const shortHash = (text: string): string => createHash('sha256').update(text).digest('hex').slice(0, 16)
