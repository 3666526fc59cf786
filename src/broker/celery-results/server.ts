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

/** The Redis server for Celery's results: this process mirrors results to it, collects results from it, or both. */
export interface ResultServer {
  /** Called by the broker before it sends messages. undefined: no results are collected. */
  readonly beforeSending: BeforeSending | undefined
  /**
   * Adds mirroring and collecting of results to the broker. Closing the returned broker also closes the mirror, the collection
   * and their connections.
   */
  join(broker: Broker): Broker
}

export interface ResultServerOptions {
  readonly log: Log
  /**
   * The URL of the server. undefined: the broker's server is used. A separate server gets at most two connections: one for
   * commands, one for subscriptions.
   */
  readonly apart: string | undefined
  /** Returns the broker whose server is used if `apart` is undefined. Called only after the broker was created. */
  readonly own: () => RedisBroker
  /** Called if a separate server cannot be used. */
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
          // Connects at once, so that a role fails at its start if this server cannot be used. The role does not wait while the
          // server is away.
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
