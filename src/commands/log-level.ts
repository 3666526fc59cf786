import { AppError } from '../errors.ts'
import { LOG_LEVELS } from '../log-text.ts'

/**
 * `--loglevel`: takes our names and Celery's, so that a Procfile for Celery works unchanged.
 * @throws AppError USAGE listing what is accepted
 */
export function logLevel(name: string): string {
  const level = { warning: 'warn', critical: 'error', fatal: 'error' }[name.toLowerCase()] ?? name.toLowerCase()
  if (LOG_LEVELS.includes(level as never)) return level
  throw new AppError('USAGE', `--loglevel ${name} is not one of ${LOG_LEVELS.join(', ')}`)
}
