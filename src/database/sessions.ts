import type { ClientBase, QueryConfig } from 'pg'
import { isConnectionRefused, whileConnecting } from '../concurrency/transient.ts'
import { AppError } from '../errors.ts'

/**
 * The server closes the session of a machine that vanished after about 25 s, so its locks and its place in `max_connections` are free again.
 * Keep-alive detects a silent connection. It does not probe while sent data are not acknowledged, so `tcp_user_timeout` bounds that time
 * (tcp(7)). The settings are a statement, because poolers such as PgBouncer refuse them as start-up parameters.
 */
const SETTINGS: QueryConfig & { query_timeout: number } = {
  text: `SELECT set_config('tcp_user_timeout', '25000', false), set_config('tcp_keepalives_idle', '10', false),
    set_config('tcp_keepalives_interval', '5', false), set_config('tcp_keepalives_count', '3', false)`,
  query_timeout: 10_000,
}

/** Every session of this application begins with it. */
export async function prepareSession(client: ClientBase): Promise<void> {
  await client.query(SETTINGS)
}

/**
 * Opens a connection. Its failures are connect failures for `isConnectFailure` (concurrency/transient.ts).
 * @throws AppError DATABASE_REFUSED if a person must change the URL or the server
 */
export async function openSession<T>(connect: () => Promise<T>): Promise<T> {
  try {
    return await whileConnecting(connect)
  } catch (cause) {
    if (!isConnectionRefused(cause)) throw cause
    const message = `PostgreSQL at DATABASE_URL refuses the connection: ${(cause as Error).message}`
    throw new AppError('DATABASE_REFUSED', message, { cause })
  }
}
