import { AppError } from '../errors.ts'
import { databaseUrl } from './address.ts'
import { addressIn, chooseAddress } from './choose-address.ts'
import { clusterMajor, createCluster, removeDrafts } from './cluster.ts'
import { findHome, prepareFolder } from './data-home.ts'
import { findServer, type ServerChoice, USUAL_PLACES } from './find-server.ts'
import { keepRunning } from './keep-running.ts'
import { takeOwnership } from './owner-lock.ts'
import type { Postmaster } from './postmaster.ts'
import { createServerLog } from './server-log.ts'
import { removeSocketDirectory, renewSocketDirectory } from './socket-directory.ts'
import { type StartOptions, startServer } from './start-server.ts'

export interface EmbeddedOptions {
  /** The project's `.onedyno` folder; made when it is missing. */
  readonly dataDir: string
  /** What the server writes, as it writes it. */
  readonly log: (chunk: Buffer) => void
  /** Our own life-cycle lines: a constant message and fields. */
  readonly note: (message: string, fields?: object) => void
  /** Cancels the start: everything begun is undone. After the start only `stop` ends the server, because it has to end last. */
  readonly signal: AbortSignal
  /** PATH, TMPDIR and EMBEDDED_POSTGRES are read. */
  readonly env: Readonly<Record<string, string | undefined>>
}

export interface Embedded {
  /** For DATABASE_URL: a unix socket (TCP on Windows), good for pg, psql and psycopg alike, and the same after every restart. */
  readonly url: string
  /** Resolves when the server is gone, its socket removed and the folder free. May be called more than once. */
  stop(): Promise<void>
}

/**
 * PostgreSQL for `onedyno start` without a DATABASE_URL: found or unpacked, initialised once, kept running, data in `dataDir`.
 * A server that a killed owner left behind is taken over. docs/adr/0005-embedded-postgresql.md has the reasons.
 * @throws AppError DATABASE_NOT_FOUND, DATABASE_VERSION_MISMATCH, DATABASE_START_FAILED, DATABASE_FOLDER_UNUSABLE, ALREADY_RUNNING,
 *   CONFIG_INVALID; or the signal's reason
 */
export async function startEmbedded(options: EmbeddedOptions): Promise<Embedded> {
  const choice = parseChoice(options.env.EMBEDDED_POSTGRES)
  options.signal.throwIfAborted()
  try {
    const folder = await prepareFolder(options.dataDir)
    const release = await takeOwnership(folder)
    try {
      return await startOwned(folder, { ...options, choice, release })
    } catch (error) {
      await release()
      throw error
    }
  } catch (error) {
    options.signal.throwIfAborted()
    throw isOfTheDisk(error)
      ? new AppError('DATABASE_FOLDER_UNUSABLE', `the database cannot be kept in ${options.dataDir}: ${error.message}`, {
          cause: error,
        })
      : error
  }
}

interface OwnedOptions extends EmbeddedOptions {
  readonly choice: ServerChoice
  readonly release: () => Promise<void>
}

async function startOwned(folder: string, options: OwnedOptions): Promise<Embedded> {
  const { note, signal, env, choice } = options
  const beganAt = performance.now()
  const temporary = env.TMPDIR || '/tmp'
  const home = await findHome({ folder, temporary, note })
  await removeDrafts(home)
  const major = await clusterMajor(home.dataDirectory)
  const server = await findServer({ choice, path: env.PATH ?? '', places: USUAL_PLACES, home, major, signal })
  const usual = await chooseAddress(home, temporary)
  if (major === undefined) {
    note('database is being created', { path: home.dataDirectory, version: server.version, server: server.origin })
    await createCluster(home, server, { address: usual, signal })
  }
  const start = {
    ...{ server, home, note, signal, address: usual, isNew: major === undefined },
    log: createServerLog(options.log),
    addressOf: (file) => addressIn(file, usual),
    prepareAddress: renew,
  } satisfies StartOptions
  const first = await startServer(start)
  note('database server ready', {
    pid: first.pid,
    version: server.version,
    server: server.origin,
    tookMs: Math.round(performance.now() - beganAt),
  })
  return superviseServer(first, start, options.release)
}

/** Children keep the first URL for as long as they live, so every later server listens where the first one did. */
function superviseServer(first: Postmaster, start: StartOptions, release: () => Promise<void>): Embedded {
  const { address } = first
  const again = { ...start, address, isNew: false }
  const stopServer = keepRunning(first, { ...start, start: (signal) => startServer({ ...again, signal }) })
  let stopped: Promise<void> | undefined
  const stop = async () => {
    try {
      await stopServer()
      if (address.kind === 'socket') await removeSocketDirectory(address.directory)
      start.note('database server stopped')
    } finally {
      await release()
    }
  }
  return {
    url: databaseUrl(address),
    stop: () => {
      stopped ??= stop()
      return stopped
    },
  }
}

const renew: StartOptions['prepareAddress'] = async ({ address, home }) => {
  if (address.kind === 'socket') await renewSocketDirectory(address.directory, home)
}

function parseChoice(value = ''): ServerChoice {
  if (value === '' || value === 'auto') return 'auto'
  if (value === 'system' || value === 'bundled') return value
  throw new AppError('CONFIG_INVALID', `EMBEDDED_POSTGRES=${JSON.stringify(value)} is not one of auto, system, bundled`)
}

/** Rights, read-only, full: what a person can mend, unlike the other failures of a system call. */
const DISK_CODES = new Set(['EACCES', 'EPERM', 'EROFS', 'ENOSPC', 'EDQUOT', 'ENOTDIR', 'EEXIST', 'EIO'])

function isOfTheDisk(error: unknown): error is NodeJS.ErrnoException {
  const { code = '', syscall } = error as NodeJS.ErrnoException
  return error instanceof Error && syscall !== undefined && DISK_CODES.has(code)
}
