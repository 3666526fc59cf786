import { AppError } from '../errors.ts'
import type { Log } from '../log.ts'

/** Logs that a schedule was suspended: beat does not evaluate it again until its definition changes or a beat starts. */
export function logSuspended(log: Log, schedule: { schedule: string; task?: string }, error: unknown): void {
  const why = error instanceof AppError || typeof error === 'string' ? { reason: messageOf(error) } : { err: error }
  log.error({ ...schedule, ...why }, 'schedule cannot be evaluated, suspended until it changes')
}

const messageOf = (error: AppError | string) => (typeof error === 'string' ? error : error.message)
