import type { Config } from '../config.ts'
import type { Database } from '../database/database.ts'
import type { AppError } from '../errors.ts'
import type { Log } from '../log.ts'
import { maskUrl } from '../log-text.ts'
import type { BeforeSending, Broker } from './broker.ts'
import type { RedisBroker } from './redis/broker.ts'
import { checkRedisClient } from './redis/client.ts'

interface ChooseOptions {
  readonly name: string
  readonly log: Log
  /** Set by a role: the client then connects at once, and calls this function if the server cannot carry messages. */
  readonly onRefused?: (error: AppError) => void
}

/**
 * Opens the broker of the configuration and logs in one line why it was chosen. If the configuration names a Redis server for
 * results of Celery's clients and workers (RESULT_MIRROR, RESULT_COLLECT), opens this server too. Loads only the client
 * libraries that are needed.
 * @throws AppError BROKER_CLIENT_MISSING
 */
export async function chooseBroker(database: Database, config: Config, options: ChooseOptions): Promise<Broker> {
  const { broker: choice, resultMirror, resultCollect } = config
  checkRedisClient(config)
  const { log } = options
  const url = choice.kind === 'amqp' ? choice.consumeUrl : choice.kind === 'redis' ? choice.url : undefined
  log.info({ broker: choice.kind, because: choice.why, ...(url === undefined ? {} : { url: maskUrl(url) }) }, 'broker chosen')
  if (resultMirror === 'off' && (resultCollect === 'off' || choice.kind !== 'redis')) return open(database, config, options)
  const apart = typeof resultMirror === 'object' ? resultMirror.url : undefined
  let broker: Broker | undefined
  const { openResultServer } = await import('./celery-results/server.ts')
  const server = openResultServer(database, config, {
    log,
    apart,
    onRefused: options.onRefused,
    own: () => broker as RedisBroker,
  })
  broker = await open(database, config, { ...options, beforeSending: server.beforeSending })
  return server.join(broker)
}

async function open(
  database: Database,
  config: Config,
  options: ChooseOptions & { readonly beforeSending?: BeforeSending | undefined },
): Promise<Broker> {
  const { broker: choice, processName } = config
  const { log, name, beforeSending, onRefused } = options
  switch (choice.kind) {
    case 'amqp': {
      const { createAmqpBroker } = await import('./amqp/broker.ts')
      return createAmqpBroker(database, { ...config, broker: choice }, { name: processName ?? name, log, beforeSending })
    }
    case 'redis': {
      const { createRedisBroker } = await import('./redis/broker.ts')
      return createRedisBroker(database, config, log, {
        url: choice.url,
        prefix: config.redisKeyPrefix,
        beforeSending,
        onRefused,
      })
    }
    case 'postgres': {
      const { createPostgresBroker } = await import('./postgres/broker.ts')
      return createPostgresBroker(database, config, log)
    }
    default:
      return choice satisfies never
  }
}
