import { randomUUID } from 'node:crypto'
import { retry } from '../../concurrency/retry.ts'
import type { Config } from '../../config.ts'
import type { Database } from '../../database/database.ts'
import { AppError } from '../../errors.ts'
import type { Log } from '../../log.ts'
import type { Message } from '../../message/message.ts'
import type { BeforeSending, Broker, ConsumeOptions, Consumer, QueueDepth } from '../broker.ts'
import { createCircuit } from '../circuit.ts'
import { keepUnsent } from '../outbox/keep-unsent.ts'
import { publishDue } from '../outbox/publish.ts'
import { createRedisConnection, type RedisConnection } from './connection.ts'
import { createRedisConsumer } from './consumer.ts'
import { listsOf, type RedisKeys, redisKeys } from './keys.ts'
import { createRedisOutcomes } from './outcomes.ts'
import { createRedisPublisher, type RedisPublisher } from './publisher.ts'
import { PURGE, RUNNING } from './scripts.ts'
import { createRedisWake, type RedisWake } from './wake.ts'
import { registerRedisWorker } from './worker.ts'

/**
 * Default visibility timeout. One day is longer than the visibility timeout of a typical Python worker on the same queues, so no
 * message is restored while a Python worker holds it. Seconds.
 */
const VISIBILITY_SECONDS = 86_400
/** Pauses between attempts to start a worker while Redis is away. Milliseconds. */
const START = { firstMs: 100, maxMs: 2000 }
/** Error codes that mean: Redis did not take the messages, or did not confirm them. */
const UNTAKEN = ['BROKER_UNREACHABLE', 'MESSAGE_UNCONFIRMED']

export interface RedisBrokerOptions {
  readonly url: string
  /** Prefix of every key, like kombu's `global_keyprefix`. Default: none. */
  readonly prefix?: string
  /**
   * A held message is restored if its worker gave no sign of life for this many seconds. Must be at least kombu's
   * `visibility_timeout`.
   */
  readonly visibilitySeconds?: number
  readonly beforeSending?: BeforeSending | undefined
  /** If set, the broker connects at once and calls this function if the server is unsuitable. */
  readonly onRefused?: ((error: AppError) => void) | undefined
}

export interface RedisBroker extends Broker {
  /**
   * The connection for commands. All writes of this process to this server use it, those of celery-results/mirror.ts included.
   */
  readonly connection: RedisConnection
  /**
   * Returns the connection that waits for notifications. The first call opens it. celery-results/collect-redis.ts uses it too.
   */
  listening(): RedisConnection
  /** Breaks the connections as a kill -9 of the process would. */
  destroy(): void
}

type RedisBrokerConfig = Pick<Config, 'publishTimeoutMs' | 'platform'>

/**
 * Messages in Redis, in kombu's layout, so that Celery's clients and workers may use the same queues. Outcomes stay in
 * PostgreSQL. A process that only sends has one connection; a process that consumes has two.
 */
export function createRedisBroker(
  database: Database,
  config: RedisBrokerConfig,
  log: Log,
  options: RedisBrokerOptions,
): RedisBroker {
  const { prefix = '' } = options
  const target = { url: options.url, platform: config.platform, onRefused: options.onRefused }
  const connection = createRedisConnection(target, 'commands', log)
  const keys = redisKeys(prefix, connection.database)
  const circuit = createCircuit({
    timeoutMs: config.publishTimeoutMs,
    onClose: () => log.info('Redis answers again, messages go straight to it'),
  })
  const publisher = createRedisPublisher(connection, { keys, prefix, timeoutMs: config.publishTimeoutMs, circuit })
  const outgoing = createOutgoing(publisher, { database, log, beforeSending: options.beforeSending })
  let opened: RedisConnection | undefined
  const listening = (): RedisConnection => {
    opened ??= createRedisConnection(target, 'listening', log)
    return opened
  }
  const consumers = createConsumers({ database, log, options, connection, keys, publisher, listening })

  connection.onReady(() => circuit.tryAgain())
  // This error is ignored, because `onRefused` and every user of the connection receive it too.
  if (options.onRefused !== undefined) connection.ready().catch(() => {})

  return {
    kind: 'redis',
    connection,
    listening,
    publish: outgoing.publish,
    consume: consumers.open,
    relayDue: (limit) => publishDue(database, limit, outgoing.relay),
    depths: (queues) => depthsOf(queues, { connection, prefix, unacked: keys.unacked }),
    purge: async (queue) => Number(await connection.run(PURGE, listsOf(prefix, queue), [])),
    async control() {
      const { createRedisControl } = await import('./control.ts')
      return createRedisControl(connection, listening, prefix, log)
    },
    async close() {
      await publisher.flush()
      consumers.stop()
      await opened?.close()
      await connection.close()
    },
    destroy() {
      void opened?.close(true)
      void connection.close(true)
    },
  }
}

interface OutgoingParts {
  readonly database: Database
  readonly log: Log
  readonly beforeSending: BeforeSending | undefined
}

/** Sends messages. Messages that Redis does not take are kept in the outbox. */
function createOutgoing(publisher: RedisPublisher, { database, log, beforeSending }: OutgoingParts) {
  let kept = false

  const keep = async (messages: readonly Message[], { code, message: reason }: AppError) => {
    if (!kept)
      log.warn({ messages: messages.length, reason }, 'Redis did not take messages in time, kept in the outbox until it does')
    kept = true
    await keepUnsent(database, messages, code === 'MESSAGE_UNCONFIRMED')
  }

  return {
    /**
     * Publishes messages, or keeps them in the outbox while Redis is away. So `delay()` and the console's form work during an
     * outage: the relay publishes the messages when Redis is back.
     */
    async publish(messages: readonly Message[]) {
      try {
        await beforeSending?.(messages)
        await publisher.publish(messages)
        kept = false
      } catch (error) {
        if (!(error instanceof AppError) || !UNTAKEN.includes(error.code)) throw error
        await keep(messages, error)
      }
    },
    /** Publishes messages of the outbox. */
    async relay(messages: readonly Message[]) {
      await beforeSending?.(messages)
      await publisher.publish(messages, true)
      kept = false
      return []
    },
  }
}

interface ConsumersParts {
  readonly database: Database
  readonly log: Log
  readonly options: RedisBrokerOptions
  readonly connection: RedisConnection
  readonly keys: RedisKeys
  readonly publisher: RedisPublisher
  listening(): RedisConnection
}

/** Opens consumers, which share one source of wake-ups. */
function createConsumers({ database, log, options, connection, keys, publisher, listening }: ConsumersParts) {
  const { prefix = '', visibilitySeconds = VISIBILITY_SECONDS } = options
  const wakes = new Set<() => void>()
  const wakeAll = () => {
    for (const wake of wakes) wake()
  }
  let waker: Promise<RedisWake> | undefined

  return {
    async open(consume: ConsumeOptions): Promise<Consumer> {
      waker ??= createRedisWake(connection, listening(), keys, log, wakeAll)
      const shared = waker
      // If `connection.ready()` rejects, nothing awaits `shared`, so its rejection is handled here.
      shared.catch(() => {})
      const id = `${connection.name}/${randomUUID().slice(0, 8)} ${consume.name}`
      // A worker that starts while Redis is away waits for it. If the worker exited, the supervisor would only start it again.
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
              backlog: consume.backlog,
              onStored,
            }),
          register: (wake) => registerRedisWorker({ id, connection, keys, prefix, visibilitySeconds, log, wake }),
          listen: (wake) => {
            wakes.add(wake)
            return shared
          },
          unlisten: (wake) => wakes.delete(wake),
        },
        consume,
      )
    },
    stop() {
      void waker?.then((each) => each.stop()).catch(() => {})
    },
  }
}

interface DepthsParts {
  readonly connection: RedisConnection
  readonly prefix: string
  readonly unacked: string
}

async function depthsOf(queues: readonly string[], { connection, prefix, unacked }: DepthsParts): Promise<QueueDepth[]> {
  const lengths = queues.flatMap((queue) => listsOf(prefix, queue).map((list) => ['LLEN', list] as const))
  const [running, ...ready] = (await Promise.all([
    connection.run(RUNNING, [unacked], queues),
    ...(await connection.pipeline(lengths)),
  ])) as [number[], ...number[]]
  const steps = ready.length / queues.length
  return queues.map((queue, at) => ({
    queue,
    ready: ready.slice(at * steps, (at + 1) * steps).reduce((sum, length) => sum + length, 0),
    running: running[at] ?? 0,
  }))
}
