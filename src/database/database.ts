import { Client, type ClientBase, Pool, type QueryResultRow } from 'pg'
import type { Config } from '../config.ts'
import { AppError } from '../errors.ts'
import type { Log } from '../log.ts'
import { maskUrl } from '../log-text.ts'
import { connectionOptions } from './connection-options.ts'
import { createListener, type Listener } from './listener.ts'
import type { Statement } from './sql.ts'

/** What can run a statement: the pool, or one connection inside a transaction. */
export interface Queryable {
  query<Row extends QueryResultRow>(statement: Statement, values?: readonly unknown[]): Promise<Row[]>
}

/** One process's way to PostgreSQL: a small pool, and one connection of its own for LISTEN and for session locks, opened when first needed. */
export interface Database extends Queryable, AsyncDisposable {
  readonly schema: string
  /** One transaction on one connection: committed when `work` resolves, rolled back when it rejects. */
  transaction<T>(work: (client: Queryable) => Promise<T>): Promise<T>
  readonly listener: Listener
  /** The name of a NOTIFY channel of this schema; channels belong to the whole database. */
  channel(name: string): string
  /** @throws AppError DATABASE_UNREACHABLE */
  ping(): Promise<void>
  close(): Promise<void>
}

/** No statement of ours takes a second; one that does not end is a connection that is only half there, which the kernel would notice in minutes. */
const QUERY_TIMEOUT_MS = 30_000

/** Opens nothing yet: connections are made by the first query. */
export function createDatabase(config: Config, options: { name: string; log: Log; poolMax?: number }): Database {
  const { decision, ...connection } = connectionOptions(config, options.name)
  const masked = maskUrl(config.databaseUrl ?? '')
  options.log.debug({ database: masked, tls: decision.tls, reason: decision.reason }, 'database chosen')
  const pool = new Pool({
    ...connection,
    max: options.poolMax ?? config.databasePool,
    idleTimeoutMillis: 0,
    query_timeout: QUERY_TIMEOUT_MS,
  })
  // An idle connection that breaks is no fault of anybody's: the pool opens another one for the next query.
  pool.on('error', (err) => options.log.debug({ reason: err.message }, 'idle database connection lost'))
  const listener = createListener(
    () => new Client({ ...connection, application_name: `onedyno ${options.name} listen` }),
    options.log,
  )
  const close = once(async () => {
    await listener.close()
    await pool.end()
  })
  return {
    schema: config.databaseSchema,
    listener,
    channel: (name) => `${config.databaseSchema}.${name}`,
    query: (statement, values) => run(pool, statement, values),
    async transaction(work) {
      const client = await pool.connect()
      // A connection that breaks while nothing is asked of it would otherwise end the process; the next query on it rejects.
      client.on('error', ignore)
      let broken: Error | undefined
      try {
        await client.query('BEGIN')
        const result = await work({ query: (statement, values) => run(client, statement, values) })
        await client.query('COMMIT')
        return result
      } catch (error) {
        await client.query('ROLLBACK').catch((err: Error) => {
          broken = err
        })
        throw error
      } finally {
        client.off('error', ignore)
        client.release(broken)
      }
    },
    async ping() {
      try {
        await pool.query('SELECT 1')
      } catch (cause) {
        throw new AppError('DATABASE_UNREACHABLE', `${masked} does not answer: ${(cause as Error).message}`, { cause })
      }
    },
    close,
    [Symbol.asyncDispose]: close,
  }
}

async function run<Row extends QueryResultRow>(
  on: Pool | ClientBase,
  statement: Statement,
  values: readonly unknown[] = [],
): Promise<Row[]> {
  const { rows } = await on.query<Row>({ name: statement.name, text: statement.text, values: values as unknown[] })
  return rows
}

const ignore = () => {}

function once(work: () => Promise<void>): () => Promise<void> {
  let running: Promise<void> | undefined
  return () => {
    running ??= work()
    return running
  }
}

/**
 * Did the connection fail, rather than the statement? Then another attempt on another connection may succeed.
 * Class 08: connection exceptions; 57P01/02/03: the server shuts down, crashed, or is not yet up; 53300: too many connections
 * (PostgreSQL 18, Appendix A).
 */
export function isConnectionError(error: unknown): boolean {
  const { code, message = '' } = error as { code?: string; message?: string }
  if (code === undefined)
    return /Connection terminated|timeout exceeded when trying to connect|Client has encountered a connection error|not queryable|Query read timeout/.test(
      message,
    )
  return (
    /^08/.test(code) ||
    [
      '57P01',
      '57P02',
      '57P03',
      '53300',
      'ECONNREFUSED',
      'ECONNRESET',
      'EPIPE',
      'ENOENT',
      'ETIMEDOUT',
      'EHOSTUNREACH',
      'EAI_AGAIN',
      'ENOTFOUND',
    ].includes(code)
  )
}

/** Did the attempt fail before a connection existed? Then nothing can have been done, and to repeat it is always safe. */
export function isConnectFailure(error: unknown): boolean {
  const { code, syscall, message = '' } = error as { code?: string; syscall?: string; message?: string }
  return (
    syscall === 'connect' ||
    ['57P03', '53300', 'EAI_AGAIN', 'ENOTFOUND'].includes(code ?? '') ||
    message.includes('timeout exceeded when trying to connect')
  )
}

/** What pg says without a code of a connection that it could not make, or no longer understands: it says nothing of the value. */
const NO_ANSWER = /SSL connection|^SASL|^Received unexpected|Cannot use a pool|timeout expired/

/**
 * Is it the value's own fault? Class 22: data exception, 23: integrity, 54: program limit (PostgreSQL 18, Appendix A); no code: refused
 * before it was sent. Anything else (disk full, read only, cancelled, deadlock) passes, and must not cost a task its result.
 */
export function isRefusal(error: unknown): boolean {
  const { code, message = '' } = error as { code?: string; message?: string }
  return code === undefined ? !isConnectionError(error) && !NO_ANSWER.test(message) : /^(22|23|54)/.test(code)
}
