import type { Config } from '../../config.ts'
import type { Database } from '../../database/database.ts'
import type { Log } from '../../log.ts'
import { maskUrl } from '../../log-text.ts'
import type { BeforeSending, Broker } from '../broker.ts'
import type { RedisBroker } from '../redis/broker.ts'
import { createRedisConnection } from '../redis/connection.ts'
import { createRedisCollect, type RedisCollect } from './collect-redis.ts'
import { withMirror } from './with-mirror.ts'

/** The Redis where Celery keeps results, as far as this process writes to it or reads from it. */
export interface ResultServer {
  /** What the broker is to call; undefined: nothing is collected. */
  readonly beforeSending: BeforeSending | undefined
  /** The broker, with mirror and collection around it; closing it closes them. */
  join(broker: Broker): Broker
}

export interface ResultServerOptions {
  readonly log: Log
  /** The URL of another server than the broker's. Two connections at most: one is opened by what writes or asks, one by what waits. */
  readonly apart: string | undefined
  /** The broker, where its Redis is the one. Asked for after it was made. */
  readonly own: () => RedisBroker
}

export function openResultServer(
  database: Database,
  config: Pick<Config, 'resultMirror' | 'resultCollect' | 'resultTtlSeconds' | 'platform'>,
  { log, apart, own }: ResultServerOptions,
): ResultServer {
  const { platform, resultMirror, resultCollect } = config
  if (apart !== undefined) log.info({ redis: maskUrl(apart) }, 'results are also written to Redis')
  const connect = (purpose: string) => createRedisConnection({ url: apart ?? '', platform }, purpose, log)
  const away = apart === undefined ? undefined : { commands: connect('results'), listening: connect('waiting for results') }
  let collect: RedisCollect | undefined

  const collecting = (): RedisCollect => {
    const { commands, listening } = away ?? { commands: own().connection, listening: own().listening() }
    collect ??= createRedisCollect({ commands, listening, database, log })
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
