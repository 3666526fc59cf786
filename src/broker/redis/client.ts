import type { Config } from '../../config.ts'
import { AppError } from '../../errors.ts'

/**
 * Checks that the package ioredis is installed if this configuration needs it, without loading it. So a role fails at its start
 * and not at its first message.
 * @throws AppError BROKER_CLIENT_MISSING
 */
export function checkRedisClient({ broker, resultMirror }: Pick<Config, 'broker' | 'resultMirror'>): void {
  const use =
    broker.kind === 'redis'
      ? `Redis is the broker (${broker.why})`
      : typeof resultMirror === 'object'
        ? 'RESULT_MIRROR names a Redis'
        : undefined
  if (use === undefined) return
  try {
    import.meta.resolve('ioredis')
  } catch (cause) {
    throw clientMissing(use, cause)
  }
}

export const clientMissing = (use: string, cause: unknown) =>
  new AppError('BROKER_CLIENT_MISSING', `${use}, but the package ioredis is not installed`, { cause })
