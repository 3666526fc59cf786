import { AppError } from '../errors.ts'
import type { Log } from '../log.ts'

/** Logs that a schedule was parked: beat does not evaluate it again until its definition changes or a beat starts. */
export function logParked(log: Log, schedule: { schedule: string; task?: string }, error: unknown): void {
  const why = error instanceof AppError || typeof error === 'string' ? { reason: messageOf(error) } : { err: error }
  log.error({ ...schedule, ...why }, 'schedule cannot be evaluated, parked until it changes')
}

const messageOf = (error: AppError | string) => (typeof error === 'string' ? error : error.message)
