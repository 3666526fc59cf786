import type { Config } from '../../config.ts'
import type { Database } from '../../database/database.ts'
import type { AppError } from '../../errors.ts'
import type { Log } from '../../log.ts'
import { maskUrl } from '../../log-text.ts'
import type { BeforeSending, Broker } from '../broker.ts'
import type { RedisBroker } from '../redis/broker.ts'
import { createRedisConnection } from '../redis/connection.ts'
import { createRedisCollect, type RedisCollect } from './collect-redis.ts'
import { withMirror } from './with-mirror.ts'

/** The Redis server with Celery's results, which this process mirrors to or collects from. */
export interface ResultServer {
  /** The broker calls this before it sends. undefined: no results are collected. */
  readonly beforeSending: BeforeSending | undefined
  /** Adds mirror and collection to the broker. Closing the result closes all of them. */
  join(broker: Broker): Broker
}

export interface ResultServerOptions {
  readonly log: Log
  /** The URL, if the server is not the broker's. Opens at most two connections: one for commands, one for subscriptions. */
  readonly apart: string | undefined
  /** The broker, if its server is used. Called after the broker was created. */
  readonly own: () => RedisBroker
  /** Called if the other server cannot be used. */
  readonly onRefused?: ((error: AppError) => void) | undefined
}

export function openResultServer(
  database: Database,
  config: Pick<Config, 'resultMirror' | 'resultCollect' | 'resultTtlSeconds' | 'resultKeyPrefix' | 'platform'>,
  { log, apart, own, onRefused }: ResultServerOptions,
): ResultServer {
  const { platform, resultMirror, resultCollect } = config
  if (apart !== undefined) log.info({ redis: maskUrl(apart) }, 'results are also written to Redis')
  const target = { url: apart ?? '', platform, onRefused }
  const connect = (purpose: string) => createRedisConnection(target, purpose, log)
  const away = apart === undefined ? undefined : { commands: connect('results'), listening: connect('waiting for results') }
  let collect: RedisCollect | undefined

  const collecting = (): RedisCollect => {
    const { commands, listening } = away ?? { commands: own().connection, listening: own().listening() }
    collect ??= createRedisCollect({ commands, listening, database, log, prefix: config.resultKeyPrefix })
    return collect
  }
  const beforeSending: BeforeSending = (messages) => collecting().expect(messages)

  return {
    beforeSending: resultCollect === 'on' ? beforeSending : undefined,
    join(broker) {
      const connection = () => away?.commands ?? own().connection
      const joined =
        resultMirror === 'off'
          ? broker
          : withMirror(broker, database, { config, log, connection: connection(), apart: away !== undefined })
      return {
        ...joined,
        consume(wanted) {
          // A role ends at its start if this server cannot be used. While it is away, nothing waits for it.
          if (onRefused !== undefined) away?.commands.ready().catch(() => {})
          if (resultCollect === 'on') void collecting().recover()
          return joined.consume(wanted)
        },
        async close() {
          await collect?.close()
          await joined.close()
          await away?.listening.close()
          await away?.commands.close()
        },
      }
    },
  }
}
