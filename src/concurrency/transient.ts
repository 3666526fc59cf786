/**
 * Error codes of failures that pass by themselves, so that another attempt may succeed. Broker modules keep only the codes of
 * their own protocol (broker/redis/connection.ts).
 */

/**
 * There is no connection, or a broken one (Node.js, "Common system errors"; EAI_AGAIN and ENOTFOUND: the name was not resolved;
 * ENOENT: the Unix socket does not exist).
 */
const SOCKET_CODES: ReadonlySet<string> = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'EPIPE',
  'ENOENT',
  'ETIMEDOUT',
  'EHOSTUNREACH',
  'EAI_AGAIN',
  'ENOTFOUND',
])

/**
 * 57P01, 57P02: the server shuts down or crashed; 57P03: the server is not yet up; 53300: too many connections (PostgreSQL 18,
 * Appendix A).
 */
const SERVER_AWAY: ReadonlySet<string> = new Set(['57P01', '57P02', '57P03', '53300'])

/** The client found no server, or the server refused the connection, so no statement was sent. */
const NEVER_CONNECTED: ReadonlySet<string> = new Set(['57P03', '53300', 'EAI_AGAIN', 'ENOTFOUND'])

/** Messages of errors of pg that have no code: its connection ended or could not be opened. */
const CONNECTION_MESSAGES =
  /Connection terminated|timeout exceeded when trying to connect|Client has encountered a connection error|not queryable|Query read timeout/

/**
 * Messages of errors of pg that have no code and do not mean a bad value: the connection could not be opened or is out of step.
 */
const NO_ANSWER_MESSAGES = /SSL connection|^SASL|^Received unexpected|Cannot use a pool|timeout expired/

interface Failure {
  readonly code?: string
  readonly syscall?: string
  readonly message?: string
}

/** Returns true if the operating system reported a missing or broken connection. */
export const isSocketError = (error: unknown): boolean => SOCKET_CODES.has((error as Failure).code ?? '')

/**
 * Returns true if the connection to PostgreSQL failed, and not the statement. Another attempt on another connection may then
 * succeed. SQLSTATE class 08: connection exception (PostgreSQL 18, Appendix A).
 */
export function isConnectionError(error: unknown): boolean {
  const { code, message = '' } = error as Failure
  if (code === undefined) return CONNECTION_MESSAGES.test(message)
  return isSocketError(error) || SERVER_AWAY.has(code) || code.startsWith('08')
}

/**
 * Returns true if the attempt failed before a connection to PostgreSQL existed. Nothing was done then, so another attempt is
 * always safe.
 */
export function isConnectFailure(error: unknown): boolean {
  const { code = '', syscall, message = '' } = error as Failure
  return syscall === 'connect' || NEVER_CONNECTED.has(code) || message.includes('timeout exceeded when trying to connect')
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
