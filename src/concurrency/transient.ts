/**
 * Tells which failures of PostgreSQL and of sockets are transient, so that another attempt may succeed. The start of a role, its
 * running loops and each publish use this one list. Adapters keep only the codes of their own protocol (broker/redis/connection.ts).
 */

/**
 * There is no connection, or a broken one (Node.js, "Common system errors"; EAI_AGAIN and ENOTFOUND: the name was not resolved;
 * ENOENT: the Unix socket does not exist).
 */
const SOCKET_CODES: ReadonlySet<string> = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'ECONNABORTED',
  'EPIPE',
  'ENOENT',
  'ETIMEDOUT',
  'EHOSTDOWN',
  'EHOSTUNREACH',
  'ENETDOWN',
  'ENETUNREACH',
  'EAI_AGAIN',
  'ENOTFOUND',
])

/**
 * 57P01, 57P02: the server shuts down or crashed; 57P03: it is not yet up; 53300: too many connections; 57P05, 25P03: the server closed an
 * idle session (PostgreSQL 18, Appendix A).
 */
const SERVER_AWAY: ReadonlySet<string> = new Set(['57P01', '57P02', '57P03', '53300', '57P05', '25P03'])

/** Messages of errors of pg that have no code: its connection ended or could not be opened. */
const CONNECTION_MESSAGES =
  /Connection terminated|timeout exceeded when trying to connect|Client has encountered a connection error|not queryable|Query read timeout/

/** Errors of pg without a code, while it opens a connection: the server answered too late, or answered the request for TLS with an error. */
const OPENING_MESSAGES = /^timeout expired$|error establishing an SSL connection/

/** Errors of pg without a code that say nothing about the value: the connection could not be opened or is out of step. */
const NO_ANSWER_MESSAGES = /SSL connection|^SASL|^Received unexpected|Cannot use a pool|timeout expired/

/**
 * SQLSTATEs of a statement that failed as a whole and may succeed later: class 40: deadlock or serialization failure, class 53: no disk
 * space, memory or connection, 55P03: a lock is not available, 57014: cancelled, for example by statement_timeout (PostgreSQL 18,
 * Appendix A).
 */
const PASSING = /^(40|53)|^(55P03|57014)$/

/** SQLSTATEs with which a server refuses a connection until a person changes something. Classes 28: user or password, 3D: database. */
const REFUSED = /^(28|3D|42501)/
/** Errors of Node.js and of pg for a server whose TLS does not fit, and for a password that is missing. */
const REFUSED_TLS = /CERT|^UNABLE_TO_|^ERR_(TLS|SSL)/
const REFUSED_MESSAGES = /does not support SSL connections|^SASL: .*password must be/

interface Failure {
  readonly code?: string
  readonly message?: string
}

const notConnected = new WeakSet<object>()

/** Runs a step before which no statement of the caller was sent. `isConnectFailure` recognises its error later. */
export async function whileConnecting<T>(step: () => Promise<T>): Promise<T> {
  try {
    return await step()
  } catch (error) {
    if (error instanceof Error) notConnected.add(error)
    throw error
  }
}

/** Returns true if the operating system reported a missing or broken connection. */
export const isSocketError = (error: unknown): boolean => SOCKET_CODES.has((error as Failure).code ?? '')

/**
 * Returns true if the connection to PostgreSQL failed, and not the statement. Another attempt on another connection may then
 * succeed. SQLSTATE class 08: connection exception (PostgreSQL 18, Appendix A).
 */
export function isConnectionError(error: unknown): boolean {
  const { code, message = '' } = error as Failure
  if (code === undefined) return CONNECTION_MESSAGES.test(message) || (isConnectFailure(error) && OPENING_MESSAGES.test(message))
  return isSocketError(error) || SERVER_AWAY.has(code) || code.startsWith('08')
}

/**
 * Returns true if the attempt failed before a connection to PostgreSQL was ready for statements, so nothing was done. The phase
 * decides, because the error of a proxy that closes a new connection looks like the error of a connection that broke during a statement.
 */
export const isConnectFailure = (error: unknown): boolean => error instanceof Error && notConnected.has(error)

/** Returns true if the connection broke after a statement was sent. The statement may have been executed or not. */
export const isAnswerLost = (error: unknown): boolean => isConnectionError(error) && !isConnectFailure(error)

/**
 * Returns true if a standby, or a server in read-only mode, refuses to write. 25006: read_only_sql_transaction. A standby refuses some statements with
 * 55000 or 0A000 instead (PostgreSQL 18, section 26.4.1, "User's Overview" of hot standby).
 */
export function isReadOnly(error: unknown): boolean {
  const { code, message = '' } = error as Failure
  return (
    code === '25006' || code === 'DATABASE_READ_ONLY' || (/^(55000|0A000)$/.test(code ?? '') && /recovery|standby/.test(message))
  )
}

/** Returns true if the connection failed, the server does not write at the moment, or the statement may succeed later. */
export const isTransient = (error: unknown): boolean =>
  isConnectionError(error) || isReadOnly(error) || PASSING.test((error as Failure).code ?? '')

/** Returns true if the failure is transient and the statement certainly had no effect, so it may be sent again. */
export const isSafeToRepeat = (error: unknown): boolean => isTransient(error) && !isAnswerLost(error)

/** Returns true if the server refuses the connection until a person changes the URL or the server. */
export function isConnectionRefused(error: unknown): boolean {
  const { code, message = '' } = error as Failure
  if (!isConnectFailure(error)) return false
  return code === undefined ? REFUSED_MESSAGES.test(message) : REFUSED.test(code) || REFUSED_TLS.test(code)
}

/**
 * Returns true if PostgreSQL refuses the value itself, or pg refuses it before sending. SQLSTATE classes 22: data exception, 23:
 * integrity constraint, 54: program limit (PostgreSQL 18, Appendix A). Every other failure (disk full, read-only, cancelled,
 * deadlock) is transient and must not cost a task its result.
 */
export function isRefusal(error: unknown): boolean {
  const { code, message = '' } = error as Failure
  return code === undefined ? !isConnectionError(error) && !NO_ANSWER_MESSAGES.test(message) : /^(22|23|54)/.test(code)
}
