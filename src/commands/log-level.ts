import { AppError } from '../errors.ts'
import { LOG_LEVELS } from '../log-text.ts'

/**
 * Reads `--loglevel`. Accepts our names and Celery's, so that a Procfile for Celery works unchanged.
 * @throws AppError USAGE with the list of accepted names
 */
export function logLevel(name: string): string {
  const level = { warning: 'warn', critical: 'error', fatal: 'error' }[name.toLowerCase()] ?? name.toLowerCase()
  if (LOG_LEVELS.includes(level as never)) return level
  throw new AppError('USAGE', `--loglevel ${name} is not one of ${LOG_LEVELS.join(', ')}`)
}
