import { randomUUID } from 'node:crypto'
import { retry } from '../../concurrency/retry.ts'
import type { Config } from '../../config.ts'
import type { Database } from '../../database/database.ts'
import { AppError } from '../../errors.ts'
import type { Log } from '../../log.ts'
import type { Message } from '../../message/message.ts'
import type { BeforeSending, Broker } from '../broker.ts'
import { createCircuit } from '../circuit.ts'
import { keepUnsent } from '../outbox/keep-unsent.ts'
import { publishDue } from '../outbox/publish.ts'
import { createRedisConnection, type RedisConnection } from './connection.ts'
import { createRedisConsumer } from './consumer.ts'
import { listsOf, redisKeys } from './keys.ts'
import { createRedisOutcomes } from './outcomes.ts'
import { createRedisPublisher } from './publisher.ts'
import { PURGE, RUNNING } from './scripts.ts'
import { createRedisWake, type RedisWake } from './wake.ts'
import { registerRedisWorker } from './worker.ts'

/** A day: longer than the visibility timeout of any Python worker on the same queues, so that nothing of theirs is taken from them. */
const VISIBILITY_SECONDS = 86_400
/** A worker that starts just when Redis goes away waits until it is back. */
const START = { firstMs: 100, maxMs: 2000 }
/** Redis did not take a message, or did not say that it did. */
const UNTAKEN = ['BROKER_UNREACHABLE', 'MESSAGE_UNCONFIRMED']

export interface RedisBrokerOptions {
  readonly url: string
  /** Before every key, as kombu's `global_keyprefix`. */
  readonly prefix?: string
  /** After so many seconds without a sign of its worker a message belongs to nobody. Not under kombu's `visibility_timeout`. */
  readonly visibilitySeconds?: number
  readonly beforeSending?: BeforeSending | undefined
}

export interface RedisBroker extends Broker {
  /** Shared with what else is to be written to Redis by this process (redis-mirror.ts). */
  readonly connection: RedisConnection
  /** The one that waits for what is told, opened when first asked for; shared alike (redis-collect.ts). */
  listening(): RedisConnection
  /** Ends the connections as kill -9 would. */
  destroy(): void
}

/**
 * Messages in Redis, in kombu's layout: Celery's clients and workers may use the same queues. Outcomes stay in PostgreSQL.
 * One connection in a process that sends, two in one that takes.
 */
export function createRedisBroker(
  database: Database,
  config: Pick<Config, 'publishTimeoutMs' | 'platform'>,
  log: Log,
  options: RedisBrokerOptions,
): RedisBroker {
  const { prefix = '', visibilitySeconds = VISIBILITY_SECONDS } = options
  const target = { url: options.url, platform: config.platform }
  const connection = createRedisConnection(target, 'commands', log)
  const keys = redisKeys(prefix, connection.database)
  let kept = false
  const circuit = createCircuit({
    timeoutMs: config.publishTimeoutMs,
    onClose: () => log.info('Redis answers again, messages go straight to it'),
  })
  const publisher = createRedisPublisher(connection, { keys, prefix, timeoutMs: config.publishTimeoutMs, circuit })
  const wakes = new Set<() => void>()
  const wakeAll = () => {
    for (const wake of wakes) wake()
  }
  let listening: RedisConnection | undefined
  let waker: Promise<RedisWake> | undefined

  /** The form and `delay()` go on while Redis is away: the relay publishes from the outbox as soon as it is back. */
  const publish = async (messages: readonly Message[]) => {
    try {
      if (options.beforeSending !== undefined) await options.beforeSending(messages)
      await publisher.publish(messages)
      kept = false
    } catch (error) {
      if (!(error instanceof AppError) || !UNTAKEN.includes(error.code)) throw error
      const { length } = messages
      if (!kept)
        log.warn(
          { messages: length, reason: error.message },
          'Redis did not take messages in time, kept in the outbox until it does',
        )
      kept = true
      await keepUnsent(database, messages, error.code === 'MESSAGE_UNCONFIRMED')
    }
  }

  const listen = (): RedisConnection => {
    listening ??= createRedisConnection(target, 'listening', log)
    return listening
  }

  connection.onReady(() => circuit.tryAgain())

  return {
    kind: 'redis',
    connection,
    listening: listen,
    publish,
    async consume(consume) {
      waker ??= createRedisWake(connection, listen(), keys, log, wakeAll)
      const heard = waker
      const id = `${connection.name}/${randomUUID().slice(0, 8)} ${consume.name}`
      // A worker that finds no server waits for it: to give up would only mean to be started again to wait.
      await connection.ready()
      await retry(() => publisher.declare(consume.queues), {
        ...START,
        isRetryable: (error) => !connection.closed && error instanceof AppError && UNTAKEN.includes(error.code),
      })
      return createRedisConsumer(
        {
          id,
          connection,
          keys,
          prefix,
          log,
          openOutcomes: (onStored) =>
            createRedisOutcomes(database, {
              name: consume.name,
              log,
              mirror: consume.mirror,
              planner: consume.planner,
              unstored: consume.unstored,
              onStored,
            }),
          register: (wake) => registerRedisWorker({ id, connection, keys, prefix, visibilitySeconds, log, wake }),
          listen: (wake) => {
            wakes.add(wake)
            return heard
          },
          unlisten: (wake) => wakes.delete(wake),
        },
        consume,
      )
    },
    relayDue: (limit) =>
      publishDue(database, limit, async (messages) => {
        if (options.beforeSending !== undefined) await options.beforeSending(messages)
        await publisher.publish(messages, true)
        kept = false
        return []
      }),
    async depths(queues) {
      const lengths = queues.flatMap((queue) => listsOf(prefix, queue).map((list) => ['LLEN', list] as const))
      const [running, ...ready] = (await Promise.all([
        connection.run(RUNNING, [keys.unacked], queues),
        ...(await connection.pipeline(lengths)),
      ])) as [number[], ...number[]]
      const steps = ready.length / queues.length
      return queues.map((queue, at) => ({
        queue,
        ready: ready.slice(at * steps, (at + 1) * steps).reduce((sum, length) => sum + length, 0),
        running: running[at] ?? 0,
      }))
    },
    purge: async (queue) => Number(await connection.run(PURGE, listsOf(prefix, queue), [])),
    async control() {
      const { createRedisControl } = await import('./control.ts')
      return createRedisControl(connection, listen, prefix, log)
    },
    async close() {
      await publisher.flush()
      void waker?.then((each) => each.stop()).catch(() => {})
      await listening?.close()
      await connection.close()
    },
    destroy() {
      void listening?.close(true)
      void connection.close(true)
    },
  }
}
