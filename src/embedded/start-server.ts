import { AppError, toError } from '../errors.ts'
import { type LeftoverOptions, takeOverLeftover } from './leftover-server.ts'
import { type Postmaster, type PostmasterOptions, spawnPostmaster, stopPostmaster } from './postmaster.ts'
import { untilReady } from './postmaster-file.ts'
import { ensureDatabase } from './server-connection.ts'

/**
 * Milliseconds to wait until a started server is ready. Recovery after a crash replays at most 256 MB of WAL (max_wal_size),
 * which takes far less.
 */
const READY_MS = 120_000

export type StartOptions = PostmasterOptions &
  LeftoverOptions & {
    /** Called just before a new server is started, when no server of onedyno listens at the address. */
    readonly prepareAddress: (options: PostmasterOptions) => Promise<void>
    /** True if this start made the data directory. */
    readonly isNew: boolean
  }

/**
 * Returns a server that answers and has the application's database: the server that an earlier run left, or a new one. After a
 * failure or an abort, no process that this function started remains.
 * @throws AppError DATABASE_START_FAILED, ALREADY_RUNNING; the signal's reason
 */
export async function startServer(options: StartOptions): Promise<Postmaster> {
  options.signal.throwIfAborted()
  const leftover = await takeOverLeftover(options)
  const postmaster = leftover ?? (await spawnAtAddress(options))
  try {
    if (leftover === undefined) await becomeReady(postmaster, options)
    await ensureDatabase(postmaster.address, options.isNew)
    options.signal.throwIfAborted()
    options.log.pass('unusual')
    return postmaster
  } catch (error) {
    await stopPostmaster(postmaster)
    options.log.pass('all')
    options.signal.throwIfAborted()
    if (error instanceof AppError) throw error
    throw new AppError(
      'DATABASE_START_FAILED',
      `PostgreSQL ${options.server.version} started but does not accept connections: ${toError(error).message}`,
      { cause: error },
    )
  }
}

async function spawnAtAddress(options: StartOptions): Promise<Postmaster> {
  await options.prepareAddress(options)
  options.log.hold()
  return spawnPostmaster(options)
}

async function becomeReady(postmaster: Postmaster, { home, server, signal }: StartOptions): Promise<void> {
  const over = new AbortController()
  const timeout = AbortSignal.timeout(READY_MS)
  try {
    const ready = untilReady(home.dataDirectory, postmaster.pid, AbortSignal.any([over.signal, signal, timeout]))
    const exit = await Promise.race([ready, postmaster.exited])
    if (exit !== undefined) {
      throw new AppError(
        'DATABASE_START_FAILED',
        `PostgreSQL ${server.version} ended at its start (${JSON.stringify(exit)}); its data are in ${home.dataDirectory}`,
      )
    }
  } catch (error) {
    if (!timeout.aborted || signal.aborted) throw error
    throw new AppError('DATABASE_START_FAILED', `PostgreSQL ${server.version} was not ready after ${READY_MS / 1000} seconds`)
  } finally {
    over.abort()
  }
}
