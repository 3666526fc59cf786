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
  /** The project's `.onedyno` folder. The start makes it if it is missing. */
  readonly dataDir: string
  /** Receives the output of the server. */
  readonly log: (chunk: Buffer) => void
  /** Receives life-cycle events, each with a constant message and fields. */
  readonly note: (message: string, fields?: object) => void
  /**
   * Cancels the start and undoes it. After the start it has no effect: only `stop` ends the server, because the server must end
   * last.
   */
  readonly signal: AbortSignal
  /** Supplies PATH, TMPDIR and EMBEDDED_POSTGRES. */
  readonly env: Readonly<Record<string, string | undefined>>
}

export interface Embedded {
  /** The DATABASE_URL: a Unix socket (TCP on Windows) that pg, psql and psycopg accept. It is the same after every restart. */
  readonly url: string
  /** Resolves when the server has ended, its socket is removed and the folder is unlocked. May be called more than once. */
  stop(): Promise<void>
}

/**
 * Starts PostgreSQL for `onedyno start` without a DATABASE_URL: finds or unpacks a server, makes the database once, and keeps
 * the server running with its data in `dataDir`. If a killed process left its server running, adopts this server. Reasons:
 * docs/adr/0005-embedded-postgresql.md.
 * @throws AppError DATABASE_NOT_FOUND, DATABASE_VERSION_MISMATCH, DATABASE_START_FAILED, DATABASE_FOLDER_UNUSABLE,
 * ALREADY_RUNNING, CONFIG_INVALID; the signal's reason
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
    note('creating database', { path: home.dataDirectory, version: server.version, server: server.origin })
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

/**
 * Restarts the server whenever it ends. Every later server listens at the first server's address, because child processes keep
 * their DATABASE_URL.
 */
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

/** Error codes of system calls that a person can fix: missing rights, a read-only file system, a full disk. */
const DISK_CODES = new Set(['EACCES', 'EPERM', 'EROFS', 'ENOSPC', 'EDQUOT', 'ENOTDIR', 'EEXIST', 'EIO'])

function isOfTheDisk(error: unknown): error is NodeJS.ErrnoException {
  const { code = '', syscall } = error as NodeJS.ErrnoException
  return error instanceof Error && syscall !== undefined && DISK_CODES.has(code)
}
