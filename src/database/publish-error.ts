import { isAnswerLost, isRefusal, isTransient } from '../concurrency/transient.ts'
import { AppError } from '../errors.ts'

/** undefined_table and invalid_schema_name (PostgreSQL 18, Appendix A). */
const NO_TABLES = ['42P01', '3F000']

/**
 * Returns the error for a message that PostgreSQL did not take. If no server was found, or the server refused the message,
 * nothing was queued. If the connection broke, the message may have been queued. `earlier`: the connection broke in an earlier
 * attempt.
 */
export function publishError(cause: unknown, earlier = false): unknown {
  const { code, message = '' } = cause as { code?: string; message?: string }
  if (cause instanceof AppError && !earlier) return cause
  if (earlier || isAnswerLost(cause))
    return new AppError('MESSAGE_UNCONFIRMED', `PostgreSQL did not confirm the message: ${message}`, { cause })
  if (NO_TABLES.includes(code ?? '')) return new AppError('SCHEMA_OUTDATED', 'the tables of onedyno do not exist', { cause })
  if (code === undefined && !isTransient(cause)) return cause
  return isRefusal(cause)
    ? new AppError('MESSAGE_REFUSED', `PostgreSQL cannot store the message: ${message}`, { cause })
    : new AppError('BROKER_UNREACHABLE', `PostgreSQL did not take the message: ${message}`, { cause })
}

/**
 * Returns the error for several messages. If some were queued, BROKER_UNREACHABLE would be wrong, because it says that nothing
 * was queued.
 */
export async function partialPublishError(error: unknown, each: readonly Promise<unknown>[]): Promise<unknown> {
  if (!(error instanceof AppError) || error.code !== 'BROKER_UNREACHABLE') return error
  const taken = (await Promise.allSettled(each)).filter(({ status }) => status === 'fulfilled').length
  if (taken === 0) return error
  return new AppError('MESSAGE_UNCONFIRMED', `only ${taken} of ${each.length} messages were taken: ${error.message}`, {
    cause: error,
  })
}
