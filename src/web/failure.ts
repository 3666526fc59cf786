import type { FastifyError } from 'fastify'
import { isConnectionError, isReadOnly } from '../concurrency/transient.ts'
import { AppError, type ErrorCode } from '../errors.ts'

/** A failure as the user sees it: the fact and a hint, without internals. */
export interface Failure {
  readonly status: number
  /** A stable code for programs. */
  readonly code: string
  readonly title: string
  readonly message: string
  readonly hint: string
}

const STATUS: Partial<Record<ErrorCode, number>> = {
  ARGUMENTS_INVALID: 422,
  VALUE_NOT_JSON: 422,
  TASK_OPTION_INVALID: 422,
  QUEUE_INVALID: 422,
  SCHEDULE_INVALID: 422,
  SCHEDULE_DUPLICATE: 409,
  SCHEDULE_UNKNOWN: 404,
  TASK_UNKNOWN: 422,
  DATABASE_UNREACHABLE: 503,
  DATABASE_REFUSED: 503,
  DATABASE_READ_ONLY: 503,
  BROKER_UNREACHABLE: 503,
  MESSAGE_UNCONFIRMED: 503,
  MESSAGE_REFUSED: 422,
  SCHEMA_OUTDATED: 503,
  SCHEMA_TOO_NEW: 503,
  APP_NOT_CONNECTED: 503,
}

const TITLES: Readonly<Record<number, string>> = {
  400: 'The request cannot be read',
  401: 'Sign in first',
  403: 'Refused',
  404: 'Not found',
  409: 'It exists already',
  413: 'Too much at once',
  414: 'The address is too long',
  415: 'This kind of content is not taken',
  421: 'Not known by this name',
  422: 'Something is missing',
  429: 'Too many attempts',
  500: 'Internal error',
  501: 'Not known here',
  503: 'Not available right now',
}

export const titleOf = (status: number): string => TITLES[status] ?? (status < 500 ? 'The request was refused' : 'Internal error')

/**
 * Translates a thrown value into an answer. A bug becomes a 500 that shows only the request id; the log has the bug under the
 * same id.
 */
export function failureOf(error: unknown, requestId: string): Failure {
  const known = translate(error)
  if (known instanceof AppError) {
    const status = STATUS[known.code]
    if (status !== undefined)
      return { status, code: known.code, title: titleOf(status), message: visibleMessage(known, status), hint: known.hint }
  }
  const { statusCode, code, message } = error as Partial<FastifyError>
  if (statusCode !== undefined && statusCode >= 400 && statusCode < 500) {
    return {
      status: statusCode,
      code: code ?? 'BAD_REQUEST',
      title: titleOf(statusCode),
      message: clientMessage(statusCode, message ?? ''),
      hint: '',
    }
  }
  const hint = `The log says more about request ${requestId}.`
  if (statusCode === 503)
    return { status: 503, code: code ?? 'TIMEOUT', title: titleOf(503), message: 'The answer took too long.', hint }
  return {
    status: 500,
    code: 'INTERNAL_ERROR',
    title: titleOf(500),
    message: 'This is a fault of the program, not of what you asked for.',
    hint,
  }
}

/**
 * Translates a failed connection, a read-only server and a missing table into coded errors. 42P01: undefined_table, 3F000: invalid_schema_name
 * (PostgreSQL 18, Appendix A).
 */
export function translate(error: unknown): unknown {
  if (error instanceof AppError) return error
  const { code } = (error ?? {}) as { code?: string }
  if (code === '42P01' || code === '3F000')
    return new AppError('SCHEMA_OUTDATED', 'the tables of onedyno are not there', { cause: error })
  if (error instanceof Error && !('statusCode' in error) && isConnectionError(error)) {
    return new AppError('DATABASE_UNREACHABLE', 'the database does not answer', { cause: error })
  }
  if (error instanceof Error && !('statusCode' in error) && isReadOnly(error))
    return new AppError('DATABASE_READ_ONLY', 'the database is read-only', { cause: error })
  return error
}

/** Returns our own sentence, because a server's message may contain addresses and names. */
function visibleMessage({ code, message }: AppError, status: number): string {
  if (status !== 503) return message
  if (code === 'BROKER_UNREACHABLE') return 'The broker does not take messages: nothing was queued.'
  if (code === 'MESSAGE_UNCONFIRMED') return 'The broker did not confirm the message: it may have been queued, or not.'
  if (code === 'DATABASE_UNREACHABLE') return 'The database does not answer.'
  if (code === 'DATABASE_REFUSED') return 'The database refuses the connection.'
  if (code === 'DATABASE_READ_ONLY') return 'The database does not accept writes at the moment.'
  return message
}

/** Returns our own sentence, because Fastify's messages repeat the URL. */
function clientMessage(status: number, message: string): string {
  if (status === 413) return 'A request holds at most 64 KiB.'
  if (status === 415) return 'Send a form, or JSON to /api/tasks.'
  if (status === 414) return 'A name in the address is longer than any task’s.'
  return /^(Unexpected|Body|Object contains|Expected)/.test(message) ? `${message}.` : 'It is not valid HTTP for this server.'
}
