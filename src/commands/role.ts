import { retry } from '../concurrency/retry.ts'
import { isConnectionError } from '../concurrency/transient.ts'
import { type Config, parseConfig } from '../config.ts'
import { createDatabase, type Database } from '../database/database.ts'
import { checkSchema } from '../database/migrate.ts'
import { AppError, toError } from '../errors.ts'
import { createLog, type Log } from '../log.ts'
import { returnMemoryOfStart } from './return-memory.ts'

/** What every role begins with: configuration, a log, a database whose schema fits, and the wish to stop. */
export interface Role {
  readonly config: Config
  readonly log: Log
  readonly database: Database
  /** Aborts at the first SIGTERM or SIGINT; the platform may send more of them, which change nothing. */
  readonly signal: AbortSignal
}

const BACKOFF = { firstMs: 100, maxMs: 5000 }

/**
 * Opens what a role needs, runs it, and closes everything again whatever happened. Resolves with the exit status.
 * A database that is not there yet is waited for: a role that gave up would only be started again to wait. `beforeDatabase`: it works
 * meanwhile, because a platform ends a web process that does not listen in time (Heroku's R10).
 */
export async function runRole(
  name: string,
  env: NodeJS.ProcessEnv,
  work: (role: Role) => Promise<void>,
  options: { beforeDatabase?: boolean } = {},
): Promise<number> {
  const config = parseConfig(env)
  const log = createLog({ level: config.logLevel, format: config.logFormat, stamp: config.logStamp })
  const signal = stopSignal()
  let late: NodeJS.Timeout | undefined
  const hurry = () => {
    late = endInTime(config, log)
  }
  signal.addEventListener('abort', hurry, { once: true })
  const database = createDatabase(config, { name: config.processName ?? name, log })
  returnMemoryOfStart()
  try {
    if (options.beforeDatabase === true) await workWhileWaiting({ config, log, database, signal }, work)
    else if (await databaseReady(database, log, signal)) await work({ config, log, database, signal })
  } finally {
    await database.close()
    signal.removeEventListener('abort', hurry)
    // Nothing is unfinished any more: what code of a task still waits for is not waited for.
    clearTimeout(late)
  }
  return 0
}

/** A role that is useful before the database answers; one whose schema does not fit is ended all the same. */
async function workWhileWaiting(role: Role, work: (role: Role) => Promise<void>): Promise<void> {
  const ending = new AbortController()
  const signal = AbortSignal.any([role.signal, ending.signal])
  const checked = databaseReady(role.database, role.log, signal)
  checked.catch(() => ending.abort())
  try {
    await work({ ...role, signal })
  } finally {
    ending.abort()
  }
  await checked
}

/**
 * A database that neither answers nor refuses can hold up any of the steps of stopping. Half a second before SIGKILL the role ends by
 * itself and says so; what it held is handed out again.
 */
function endInTime({ shutdownMs }: Config, log: Log): NodeJS.Timeout {
  const end = () => {
    log.error({ afterMs: shutdownMs - 500 }, 'not stopped in time, ending now: what is unfinished is handed out again')
    process.exit(69)
  }
  return setTimeout(end, shutdownMs - 500).unref()
}

/** The first SIGTERM or SIGINT aborts; later ones are heard and ignored, because a platform repeats them. */
export function stopSignal(): AbortSignal {
  const stopping = new AbortController()
  for (const name of ['SIGTERM', 'SIGINT'] as const) process.on(name, () => stopping.abort())
  return stopping.signal
}

/** @throws AppError DATABASE_UNREACHABLE also where the server answers, and says that there is no such database, user or password */
async function answers(database: Database): Promise<void> {
  await database.ping()
  await checkSchema(database)
}

/** What the driver said, below what a person is told. */
const causeOf = (error: unknown): Error =>
  error instanceof AppError && error.code === 'DATABASE_UNREACHABLE' ? toError(error.cause) : toError(error)

/** False when asked to stop while waiting. */
async function databaseReady(database: Database, log: Log, signal: AbortSignal): Promise<boolean> {
  let said = false
  try {
    await retry(() => answers(database), {
      ...BACKOFF,
      signal,
      isRetryable: (error) => isConnectionError(causeOf(error)),
      onRetry: (error) => {
        if (!said) log.warn({ reason: causeOf(error).message }, 'database does not answer yet, waiting for it')
        said = true
      },
    })
    if (said) log.info('database answers')
    return true
  } catch (error) {
    if (signal.aborted && isConnectionError(causeOf(error))) return false
    throw error
  }
}
