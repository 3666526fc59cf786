import { type ClientBase, Pool, type QueryResultRow } from 'pg'
import { isReadOnly, whileConnecting } from '../concurrency/transient.ts'
import type { Config } from '../config.ts'
import { AppError } from '../errors.ts'
import type { Log } from '../log.ts'
import { maskUrl } from '../log-text.ts'
import { connectionOptions } from './connection-options.ts'
import { createListener, type Listener } from './listener.ts'
import { openSession, prepareSession } from './sessions.ts'
import { createQualifier, type QualifiedStatement, type Statement } from './sql.ts'

/** Runs statements on the pool, or on one connection in a transaction. */
export interface Queryable {
  query<Row extends QueryResultRow>(statement: Statement, values?: readonly unknown[]): Promise<Row[]>
}

/**
 * The connections of one process to PostgreSQL: a small pool, and one connection for LISTEN and session locks. Each is opened
 * when first needed.
 */
export interface Database extends Queryable, AsyncDisposable {
  readonly schema: string
  /** Runs `work` in a transaction on one connection. Commits when `work` resolves, rolls back when it rejects. */
  transaction<T>(work: (client: Queryable) => Promise<T>): Promise<T>
  readonly listener: Listener
  /**
   * Returns the statement with the schema's name in its tables, to be run by another client, such as the caller's or the
   * listener's.
   */
  qualify(statement: Statement): QualifiedStatement
  /** Returns the name of a NOTIFY channel. The name contains the schema, because channels belong to the whole database. */
  channel(name: string): string
  /** @throws AppError DATABASE_UNREACHABLE, DATABASE_REFUSED */
  ping(): Promise<void>
  close(): Promise<void>
}

/**
 * Statements of onedyno take less than a second. A longer one means a half-open connection, which the kernel would detect only
 * after minutes.
 */
const QUERY_TIMEOUT_MS = 30_000

/** All connections but one are closed after this time without a query, because other processes share `max_connections`. */
const IDLE_TIMEOUT_MS = 60_000

/** Opens no connection. The first query opens one. */
export function createDatabase(config: Config, options: { name: string; log: Log; poolMax?: number }): Database {
  const { decision, SessionClient, ...connection } = connectionOptions(config, options.name)
  const masked = maskUrl(config.databaseUrl ?? '')
  options.log.debug({ database: masked, tls: decision.tls, reason: decision.reason }, 'database chosen')
  const pool = new Pool({
    ...connection,
    Client: SessionClient,
    max: options.poolMax ?? config.databasePool,
    min: 1,
    idleTimeoutMillis: IDLE_TIMEOUT_MS,
    onConnect: prepareSession,
    query_timeout: QUERY_TIMEOUT_MS,
  })
  // A broken idle connection is harmless: the pool opens another connection for the next query.
  pool.on('error', (err) => options.log.debug({ reason: err.message }, 'idle database connection lost'))
  const listener = createListener(
    () => new SessionClient({ ...connection, application_name: `onedyno ${options.name} listen` }),
    options.log,
  )
  const qualify = createQualifier(config.databaseSchema)
  const close = once(async () => {
    await listener.close()
    await pool.end()
  })
  return {
    schema: config.databaseSchema,
    listener,
    qualify,
    channel: (name) => `${config.databaseSchema}.${name}`,
    query: (statement, values) => runOnPool(pool, qualify(statement), values),
    async transaction(work) {
      const client = await openSession(() => pool.connect())
      // Without this listener, an error between two queries would end the process. The next query on the broken connection
      // rejects anyway.
      client.on('error', ignore)
      let broken: Error | undefined
      try {
        await whileConnecting(() => client.query('BEGIN'))
        const result = await work({ query: (statement, values) => run(client, qualify(statement), values) })
        await client.query('COMMIT')
        return result
      } catch (error) {
        // Whether a session may write is decided when it begins, so a read-only one is not used again.
        if (isReadOnly(error)) broken = error as Error
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
        await runOnPool(pool, PING)
      } catch (cause) {
        if (cause instanceof AppError) throw cause
        throw new AppError('DATABASE_UNREACHABLE', `${masked} does not answer: ${(cause as Error).message}`, { cause })
      }
    },
    close,
    [Symbol.asyncDispose]: close,
  }
}

const PING: QualifiedStatement = { name: 'ping', text: 'SELECT 1' }

async function runOnPool<Row extends QueryResultRow>(
  pool: Pool,
  statement: QualifiedStatement,
  values?: readonly unknown[],
): Promise<Row[]> {
  const client = await openSession(() => pool.connect())
  // The statement rejects too if the connection breaks. Without a listener, the event would end the process.
  client.on('error', ignore)
  let failure: Error | undefined
  try {
    return await run<Row>(client, statement, values)
  } catch (error) {
    failure = error as Error
    throw error
  } finally {
    client.off('error', ignore)
    client.release(failure)
  }
}

async function run<Row extends QueryResultRow>(
  on: ClientBase,
  statement: QualifiedStatement,
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
