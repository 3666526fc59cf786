import { glob, realpath, stat } from 'node:fs/promises'
import { delimiter, dirname, join } from 'node:path'
import { AppError } from '../errors.ts'
import { bundledPackage, findNative, prepareBundled } from './bundled-server.ts'
import type { Home } from './data-home.ts'
import { runProgram } from './run-program.ts'

/** The values that EMBEDDED_POSTGRES accepts. */
export type ServerChoice = 'auto' | 'system' | 'bundled'

export interface Server {
  /** The folder that contains `postgres` and `initdb`. */
  readonly binDirectory: string
  /** A version such as `18.4`. */
  readonly version: string
  readonly major: number
  readonly origin: 'system' | 'bundled'
}

/** Servers with an older major version are ignored. The SQL of onedyno is tested with 15 and 18. */
const OLDEST_MAJOR = 14

/** Folders where installers put a server without adding it to the PATH. */
export const USUAL_PLACES: readonly string[] = [
  '/usr/lib/postgresql/*/bin', // Debian, Ubuntu
  '/usr/libexec/postgresql*', // Alpine
  '/usr/pgsql-*/bin', // Red Hat, from postgresql.org
  '/opt/homebrew/opt/postgresql*/bin',
  '/usr/local/opt/postgresql*/bin',
  '/home/linuxbrew/.linuxbrew/opt/postgresql*/bin',
  '/Applications/Postgres.app/Contents/Versions/*/bin',
  'C:/Program Files/PostgreSQL/*/bin',
]

interface FindServerOptions {
  readonly choice: ServerChoice
  /** The PATH of the environment, in which programs are searched. */
  readonly path: string
  /** Glob patterns of program folders, such as `USUAL_PLACES`. */
  readonly places: readonly string[]
  readonly home: Home
  /** The major version that made the data. Undefined if there are no data yet, so that any version fits. */
  readonly major: number | undefined
  readonly signal: AbortSignal
}

/**
 * Returns the first server that fits the data and that the server's user can run. Installed servers come before the bundled
 * server, which may need a copy.
 * @throws AppError DATABASE_NOT_FOUND, DATABASE_VERSION_MISMATCH
 */
export async function findServer(options: FindServerOptions): Promise<Server> {
  const seen: string[] = []
  let isOtherMajor = false
  for await (const candidate of candidates(options)) {
    const server = await examine(candidate, options)
    if (typeof server === 'string') seen.push(`${candidate.binDirectory}: ${server}`)
    else if (options.major === undefined || server.major === options.major) return server
    else {
      isOtherMajor = true
      seen.push(`${server.version} (${server.origin}, ${server.binDirectory})`)
    }
  }
  if (isOtherMajor) throw versionMismatch(options, seen)
  throw notFound(options, seen)
}

function versionMismatch({ home, major, choice }: FindServerOptions, seen: readonly string[]): AppError {
  const where = choice === 'auto' ? 'here' : `with EMBEDDED_POSTGRES=${choice}`
  return new AppError(
    'DATABASE_VERSION_MISMATCH',
    `PostgreSQL ${major} made the data in ${home.dataDirectory}; found ${where}: ${seen.join(', ')}`,
  )
}

function notFound({ choice }: FindServerOptions, seen: readonly string[]): AppError {
  const places = {
    auto: `on the PATH, in the usual places or as npm package ${bundledPackage}`,
    system: 'on the PATH or in the usual places',
    bundled: `as npm package ${bundledPackage}`,
  }
  const why = seen.length === 0 ? '' : `; not usable: ${seen.join(', ')}`
  return new AppError(
    'DATABASE_NOT_FOUND',
    `DATABASE_URL is not set and no PostgreSQL server is installed ${places[choice]}${why}`,
  )
}

type Candidate = Pick<Server, 'binDirectory' | 'origin'>

async function* candidates(options: FindServerOptions): AsyncGenerator<Candidate> {
  const { choice, home } = options
  const given = new Set<string>()
  if (choice !== 'bundled') {
    for await (const place of systemPlaces(options)) {
      const binDirectory = await serverIn(place)
      if (binDirectory === undefined || given.has(binDirectory)) continue
      given.add(binDirectory)
      yield { binDirectory, origin: 'system' }
    }
  }
  if (choice === 'system') return
  const native = findNative()
  if (native !== undefined) yield { binDirectory: await prepareBundled(native, home), origin: 'bundled' }
}

async function* systemPlaces({ path, places, signal }: FindServerOptions): AsyncGenerator<string> {
  const onPath = path.split(delimiter).filter((folder) => folder !== '')
  yield* onPath
  const usual: string[] = []
  for await (const place of glob(places)) usual.push(place)
  yield* usual.sort((a, b) => numberIn(b) - numberIn(a))
  for (const folder of onPath) {
    const program = join(folder, 'pg_config')
    if (!(await isFile(program))) continue
    const { output } = await runProgram(program, ['--bindir'], { cwd: '/', user: undefined, signal })
    yield output.trim()
  }
}

/**
 * Returns the folder of the real programs if `place` has both programs. PostgreSQL finds its other files relative to this
 * folder.
 */
async function serverIn(place: string): Promise<string | undefined> {
  const program = (name: string) => join(place, process.platform === 'win32' ? `${name}.exe` : name)
  if (!(await isFile(program('postgres')))) return undefined
  const folder = dirname(await realpath(program('postgres')))
  return (await isFile(join(folder, 'initdb'))) || process.platform === 'win32' ? folder : undefined
}

const isFile = (path: string) =>
  stat(path)
    .then((found) => found.isFile())
    .catch(() => false)

const numberIn = (place: string) => Number(/\d+(\.\d+)?/.exec(place)?.[0] ?? 0)

/** Runs the program as the server's user: only this proves that rights, the C library and other libraries are right. */
async function examine({ binDirectory, origin }: Candidate, { home, signal }: FindServerOptions): Promise<Server | string> {
  try {
    const { code, output } = await runProgram(join(binDirectory, 'postgres'), ['--version'], {
      cwd: '/',
      user: home.user,
      signal,
    })
    const [, version, major] = /\(PostgreSQL\) ((\d+)[^\s]*)/.exec(output) ?? []
    if (code !== 0 || version === undefined) return output.trim().split('\n').at(-1) ?? `ended with ${code}`
    if (Number(major) < OLDEST_MAJOR) return `version ${version} is too old`
    return { binDirectory, origin, version, major: Number(major) }
  } catch (error) {
    signal.throwIfAborted()
    return (error as Error).message
  }
}
