import { retry } from '../concurrency/retry.ts'
import { isReadOnly, isTransient } from '../concurrency/transient.ts'
import { type Config, parseConfig } from '../config.ts'
import { createDatabase, type Database } from '../database/database.ts'
import { checkSchema } from '../database/migrate.ts'
import { checkWritable } from '../database/writable.ts'
import { AppError, toError } from '../errors.ts'
import { createLog, type Log } from '../log.ts'
import { returnMemoryOfStart } from './return-memory.ts'

/** The parts that every role receives: configuration, log, a database with the right schema, and a signal to stop. */
export interface Role {
  readonly config: Config
  readonly log: Log
  readonly database: Database
  /** Aborts at the first SIGTERM or SIGINT, or when the role fails. Later signals are ignored, because platforms send several. */
  readonly signal: AbortSignal
  /** Ends the role with this error. */
  fail(error: Error): void
}

const BACKOFF = { firstMs: 100, maxMs: 5000 }

/**
 * Opens the connections of a role, runs the role, and closes the connections, also after a failure. Resolves to the exit status.
 * Waits while the database does not answer, because a role that ended would only be restarted. `beforeDatabase`: the role starts
 * before the database answers, because a platform ends a web process that does not listen in time (Heroku's R10).
 */
export async function runRole(
  name: string,
  env: NodeJS.ProcessEnv,
  work: (role: Role) => Promise<void>,
  options: { beforeDatabase?: boolean } = {},
): Promise<number> {
  const config = parseConfig(env)
  const log = createLog({ level: config.logLevel, format: config.logFormat, stamp: config.logStamp })
  const failing = new AbortController()
  const fail = (error: Error) => failing.abort(error)
  const signal = AbortSignal.any([stopSignal(), failing.signal])
  let late: NodeJS.Timeout | undefined
  const hurry = () => {
    late = endInTime(config, log)
  }
  signal.addEventListener('abort', hurry, { once: true })
  const database = createDatabase(config, { name: config.processName ?? name, log })
  returnMemoryOfStart()
  try {
    if (options.beforeDatabase === true) await workWhileWaiting({ config, log, database, signal, fail }, work)
    else if (await databaseReady(database, log, signal)) await work({ config, log, database, signal, fail })
  } catch (error) {
    // A step of the start waited for the database when the stop was asked.
    if (!(signal.aborted && isTransient(causeOf(error)))) throw error
  } finally {
    await database.close()
    signal.removeEventListener('abort', hurry)
    // At this point all work is finished. Timers and sockets that a task's code left open must not delay the exit.
    clearTimeout(late)
  }
  failing.signal.throwIfAborted()
  return 0
}

/** Runs a role before the database answers. Ends the role if the schema turns out to be wrong. */
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
 * Ends the role half a second before the platform sends SIGKILL, and logs it: a database that neither answers nor refuses can
 * delay every step of the shutdown. The messages of the role are delivered again.
 */
function endInTime({ shutdownMs }: Config, log: Log): NodeJS.Timeout {
  const end = () => {
    log.error({ afterMs: shutdownMs - 500 }, 'shutdown timed out, exiting now, unfinished messages are redelivered')
    process.exit(69)
  }
  return setTimeout(end, shutdownMs - 500).unref()
}

/** Returns a signal that the first SIGTERM or SIGINT aborts. Later signals are ignored, because platforms repeat them. */
function stopSignal(): AbortSignal {
  const stopping = new AbortController()
  for (const name of ['SIGTERM', 'SIGINT'] as const) process.on(name, () => stopping.abort())
  return stopping.signal
}

/** @throws AppError DATABASE_UNREACHABLE, DATABASE_REFUSED, DATABASE_READ_ONLY, SCHEMA_OUTDATED, SCHEMA_TOO_NEW */
async function answers(database: Database): Promise<void> {
  await database.ping()
  await checkWritable(database)
  await checkSchema(database)
}

/** Returns the driver's error, which is the cause of the AppError. */
const causeOf = (error: unknown): Error =>
  error instanceof AppError && error.code === 'DATABASE_UNREACHABLE' ? toError(error.cause) : toError(error)

function waitingFor(error: Error): string {
  if (!isReadOnly(error)) return 'database does not answer, waiting'
  return /standby|recovery/.test(error.message)
    ? 'this server is a standby (read-only), waiting until it is promoted'
    : 'this database is read-only, waiting until it accepts writes'
}

/** Waits until the database answers and accepts writes. Resolves to false if the signal aborts first. */
async function databaseReady(database: Database, log: Log, signal: AbortSignal): Promise<boolean> {
  let said: string | undefined
  try {
    await retry(() => answers(database), {
      ...BACKOFF,
      signal,
      isRetryable: (error) => isTransient(causeOf(error)),
      onRetry: (error) => {
        const fact = waitingFor(causeOf(error))
        if (said !== fact) log.warn({ reason: causeOf(error).message }, fact)
        said = fact
      },
    })
    if (said !== undefined) log.info('database answers')
    return true
  } catch (error) {
    if (signal.aborted && isTransient(causeOf(error))) return false
    throw error
  }
}
