import { withTimeout } from '../concurrency/with-timeout.ts'
import type { Config } from '../config.ts'
import { AppError } from '../errors.ts'
import { maskUrl } from '../log-text.ts'

/** Milliseconds to wait until a connection is closed, which could otherwise take as long as its server is away. */
export const CLOSING_MS = 1000

const NAMES = { amqp: 'RabbitMQ', redis: 'Redis', postgres: 'PostgreSQL' }

/**
 * Waits for the broker's answer, but limits the wait of a command. (A role waits without a limit.)
 * @throws AppError BROKER_SILENT after PUBLISH_TIMEOUT plus `moreMs`; the error of `work`
 */
export async function brokerAnswers<T>(
  { broker, databaseUrl, publishTimeoutMs }: Pick<Config, 'broker' | 'databaseUrl' | 'publishTimeoutMs'>,
  work: Promise<T>,
  moreMs = 0,
): Promise<T> {
  const ms = Math.max(1000, publishTimeoutMs) + moreMs
  const url = broker.kind === 'amqp' ? broker.consumeUrl : broker.kind === 'redis' ? broker.url : (databaseUrl ?? '')
  return withTimeout(work, ms, () => {
    throw new AppError('BROKER_SILENT', `${NAMES[broker.kind]} at ${maskUrl(url)} does not answer within ${ms / 1000} s`)
  })
}
