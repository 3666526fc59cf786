import { createPlanner, type Planner } from '../../app/canvas/plan.ts'
import type { Config } from '../../config.ts'
import type { End } from '../../database/chords.ts'
import type { Database } from '../../database/database.ts'
import type { Log } from '../../log.ts'
import type { Broker, ConsumeOptions } from '../broker.ts'
import { sendPlan } from '../outbox/send-plan.ts'
import type { RedisConnection } from '../redis/connection.ts'
import { replyAddress } from '../reply-address.ts'
import { createCeleryChords } from './chord.ts'
import { createRedisMirror, type RedisMirror } from './mirror.ts'
import { storeForeignOutcomes } from './store.ts'

export interface MirroredOptions {
  readonly config: Pick<Config, 'resultTtlSeconds' | 'resultKeyPrefix'>
  readonly log: Log
  /** The connection for commands. It connects when a process consumes. */
  readonly connection: RedisConnection
  /** True: the server is not the broker's (RESULT_MIRROR is a URL). */
  readonly apart: boolean
}

/**
 * Adds the mirror to a broker: its workers also write their results to Redis (RESULT_MIRROR), and count the members of Celery's
 * chords in Redis.
 */
export function withMirror(broker: Broker, database: Database, options: MirroredOptions): Broker {
  const { log, connection, apart, config } = options
  const { resultTtlSeconds: ttlSeconds, resultKeyPrefix: prefix } = config
  let opening: Promise<RedisMirror> | undefined

  const open = async (planner: Planner) => {
    const origin = await replyAddress(database)
    const chords = createCeleryChords(connection, { ttlSeconds, prefix, log, planner, end: (end) => finish(end) })
    const onWritten = chords.partReturn
    const mirror = createRedisMirror(connection, { ttlSeconds, prefix, origin, log, apart, onWritten })
    /** Sends the messages of an ended chord. Stores the outcome of a body that cannot run, because no worker does. */
    const finish = async ({ plan, outcomes }: End) => {
      if (outcomes.length > 0) {
        const alsoStored = await storeForeignOutcomes(
          database,
          outcomes.map((outcome) => ({ ...outcome, worker: null })),
        )
        void mirror.of('').write([...outcomes, ...alsoStored].map((outcome) => ({ outcome, message: undefined })))
      }
      if (plan.messages.length > 0) await sendPlan({ database, broker }, plan)
    }
    return mirror
  }

  return {
    ...broker,
    async consume(wanted: ConsumeOptions) {
      opening ??= open(wanted.planner ?? createPlanner())
      const mirror = await opening
      return broker.consume({ ...wanted, mirror: mirror.of(wanted.name) })
    },
    async close() {
      const mirror = await opening?.catch(() => undefined)
      await mirror?.close()
      await broker.close()
    },
  }
}
