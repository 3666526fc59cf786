import type { Log } from '../../log.ts'
import type { ConsumeOptions, Consumer } from '../broker.ts'
import { createConsumer } from '../consumer/consumer.ts'
import { createHeldTable } from '../consumer/held.ts'
import { createLifeCycle } from '../consumer/life-cycle.ts'
import { createPrefetch } from '../consumer/prefetch.ts'
import { createRedisArrivals, type RedisHeld } from './arrivals.ts'
import { createRedisClaims } from './claims.ts'
import type { RedisConnection } from './connection.ts'
import type { RedisKeys } from './keys.ts'
import type { RedisOutcomes } from './outcomes.ts'
import { createRedisProtocol } from './protocol.ts'
import { createRedisTurns } from './turns.ts'
import type { RedisWake } from './wake.ts'
import type { RedisWorker } from './worker.ts'

/** The server wakes the consumer. This poll is for a lost wake-up; it costs one call of a script. Milliseconds. */
const LOOK_AGAIN_MS = 30_000

export interface RedisConsumerParts {
  /** Name of the worker among the workers of this server (redis/worker.ts). */
  readonly id: string
  readonly connection: RedisConnection
  readonly keys: RedisKeys
  readonly prefix: string
  openOutcomes(onStored: (tags: readonly string[]) => void): RedisOutcomes
  readonly log: Log
  register(wake: () => void): Promise<RedisWorker>
  /**
   * Registers `wake`, which is called when a queue may hold messages. All consumers of a process share one source of wake-ups.
   */
  listen(wake: () => void): Promise<RedisWake>
  unlisten(wake: () => void): void
}

/**
 * A worker's hold on its queues in Redis. Outcomes are stored in PostgreSQL first. Then their messages are acknowledged in Redis
 * together with the next claim, in one round trip.
 */
export async function createRedisConsumer(parts: RedisConsumerParts, options: ConsumeOptions): Promise<Consumer> {
  const { id, connection, keys, log } = parts
  const life = createLifeCycle()
  const prefetch = createPrefetch(options.concurrency)
  const held = createHeldTable<RedisHeld>(prefetch)
  const tags = new Set<string>()
  const claims = createRedisClaims(connection, keys, id)
  const acknowledge = (done: readonly string[]) => turns.acknowledge(done)
  const outcomes = parts.openOutcomes(acknowledge)
  const shared = { ...parts, life, prefetch, held, tags, claims, outcomes, acknowledge }
  const turns = createRedisTurns(
    {
      ...shared,
      accept: createRedisArrivals({ ...shared, ...options, finish: (delivery) => consumer.finish(delivery, null) }),
      arm: (lists) => waker.arm(lists),
      onDeclaredDead: () => void worker.register().catch(ignore),
    },
    options,
  )

  const wake = () => {
    life.send('messages-signalled')
    turns.wakeNow()
  }

  const worker = await parts.register(wake)
  const waker = await parts.listen(wake)
  const floor = setInterval(wake, LOOK_AGAIN_MS)
  const unwatch = () => {
    clearInterval(floor)
    parts.unlisten(wake)
  }
  const consumer = createConsumer({ held, life, log }, createRedisProtocol({ ...shared, turns, worker, wake, unwatch }))
  life.send('registered')
  wake()
  return consumer
}

const ignore = () => {}
