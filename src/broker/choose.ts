import type { Config } from '../config.ts'
import type { Database } from '../database/database.ts'
import type { Log } from '../log.ts'
import { maskUrl } from '../log-text.ts'
import type { Broker } from './broker.ts'

/** The broker that the configuration names, and one line of log that says why. Only its own client library is loaded. */
export async function chooseBroker(
  database: Database,
  config: Config,
  options: { readonly name: string; readonly log: Log },
): Promise<Broker> {
  const { broker: choice } = config
  const { log, name } = options
  const url = choice.kind === 'amqp' ? choice.consumeUrl : choice.kind === 'redis' ? choice.url : undefined
  log.info({ broker: choice.kind, because: choice.why, ...(url === undefined ? {} : { url: maskUrl(url) }) }, 'broker chosen')
  switch (choice.kind) {
    case 'amqp': {
      const { createAmqpBroker } = await import('./amqp.ts')
      return createAmqpBroker(database, { ...config, broker: choice }, { name: config.processName ?? name, log })
    }
    case 'redis': {
      const { createRedisBroker } = await import('./redis.ts')
      const mirrorSeconds = config.resultMirror === 'redis' ? config.resultTtlSeconds : undefined
      return createRedisBroker(database, config, log, { url: choice.url, mirrorSeconds })
    }
    case 'postgres': {
      const { createPostgresBroker } = await import('./postgres.ts')
      return createPostgresBroker(database, config, log)
    }
    default:
      return choice satisfies never
  }
}
