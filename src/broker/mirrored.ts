import type { Config } from '../config.ts'
import type { Database } from '../database/database.ts'
import type { Log } from '../log.ts'
import type { Message } from '../message/message.ts'
import type { Broker, ConsumeOptions } from './broker.ts'
import { type CeleryChords, type ChordFailure, createCeleryChords } from './celery-chord.ts'
import { storeForeignOutcomes } from './collect-outcomes.ts'
import type { RedisConnection } from './redis-connection.ts'
import { createRedisMirror, type RedisMirror } from './redis-mirror.ts'
import { replyAddress } from './reply-address.ts'

export interface MirroredOptions {
  readonly config: Pick<Config, 'resultTtlSeconds'>
  readonly log: Log
  /** Used by a process that takes messages only. */
  readonly connection: RedisConnection
  /** Another server than the broker's (RESULT_MIRROR is a URL). */
  readonly apart: boolean
}

/** A broker whose workers write their results to Redis as well (RESULT_MIRROR), and count Celery's chords there. */
export function withMirror(broker: Broker, database: Database, options: MirroredOptions): Broker {
  const { log, connection, apart, config } = options
  const ttlSeconds = config.resultTtlSeconds
  let opening: Promise<RedisMirror> | undefined

  const open = async () => {
    const origin = await replyAddress(database)
    const publish = (messages: readonly Message[]) => broker.publish(messages)
    const chords: CeleryChords = createCeleryChords(connection, { ttlSeconds, log, fail: (outcome) => fail(outcome) })
    const mirror = createRedisMirror(connection, {
      ttlSeconds,
      origin,
      log,
      apart,
      onWritten: (message, outcome) => chords.partReturn({ message, outcome, publish }),
    })
    /** Nobody ran the body, so that no worker records it. */
    const fail = async (failure: ChordFailure) => {
      const outcome = { ...failure, state: 'FAILURE', traceback: null, startedAt: null, doneAt: Date.now() } as const
      await storeForeignOutcomes(database, [{ ...outcome, worker: null }])
      void mirror.of('').write([{ outcome: { ...outcome, retries: 0 }, message: undefined }])
    }
    return mirror
  }

  return {
    ...broker,
    async consume(wanted: ConsumeOptions) {
      opening ??= open()
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
