import { AppError } from '../errors.ts'
import { LOG_LEVELS } from '../log-text.ts'

/**
 * `--loglevel`: ours, and Celery's names too, so that a Procfile needs one word less to change.
 * @throws AppError USAGE listing what is accepted
 */
export function logLevel(name: string): string {
  const level = { warning: 'warn', critical: 'error', fatal: 'error' }[name.toLowerCase()] ?? name.toLowerCase()
  if (LOG_LEVELS.includes(level as never)) return level
  throw new AppError('USAGE', `--loglevel ${name} is not one of ${LOG_LEVELS.join(', ')}`)
}
