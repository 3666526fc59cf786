import { waitAtMost } from '../../concurrency/with-timeout.ts'
import type { Log } from '../../log.ts'
import type { ConsumerProtocol } from '../consumer/consumer.ts'
import type { HeldTable } from '../consumer/held.ts'
import type { LifeCycle } from '../consumer/life-cycle.ts'
import type { RedisHeld } from './arrivals.ts'
import type { RedisClaims } from './claims.ts'
import type { RedisConnection } from './connection.ts'
import type { RedisKeys } from './keys.ts'
import type { RedisOutcomes } from './outcomes.ts'
import type { RedisTurns } from './turns.ts'
import type { RedisWorker } from './worker.ts'

export interface RedisProtocolParts {
  readonly id: string
  readonly connection: RedisConnection
  readonly keys: RedisKeys
  readonly life: LifeCycle
  readonly held: HeldTable<RedisHeld>
  /** Tags of all messages in `unacked` that this worker holds. */
  readonly tags: Set<string>
  readonly claims: RedisClaims
  readonly outcomes: RedisOutcomes
  readonly turns: RedisTurns
  readonly worker: RedisWorker
  readonly wake: () => void
  /** Ends the wake-ups. */
  readonly unwatch: () => void
  readonly log: Log
}

/** Maps the operations of one consumer to requests to Redis and PostgreSQL. */
export function createRedisProtocol(parts: RedisProtocolParts): ConsumerProtocol<RedisHeld> {
  const { id, connection, keys, life, held, tags, claims, outcomes, turns, worker, log } = parts

  const flush = async () => {
    while (life.isOpen && !connection.closed && (turns.running || turns.hasWork || outcomes.pending > 0)) {
      turns.wake()
      await outcomes.flush()
      await (turns.running ? turns.idle() : new Promise<void>((resolve) => setImmediate(resolve)))
    }
  }

  return {
    settle({ message, tag, early }, outcome, { effects }) {
      // Settles even without an outcome, because a second message with the same id must be acknowledged after the outcome of the
      // first is stored.
      if (outcome !== null || effects !== undefined || !early)
        outcomes.settle({ outcome, message, effects, tag: early ? undefined : tag })
      turns.wake()
    },
    storeStarted: (outcome) => outcomes.settle({ outcome, message: undefined, tag: undefined }),
    async acknowledge(delivery) {
      const replies = await connection.pipeline([claims.ackIfHeld(delivery.tag)]).catch(() => undefined)
      tags.delete(delivery.tag)
      if (replies?.[0] === 1) return true
      // Another worker has the message, or the answer was lost. The message must not run here: if this worker still holds it on
      // the server, it is requeued.
      held.release(delivery)
      if (replies === undefined) life.send('link-failed')
      parts.wake()
      return false
    },
    async begin({ tag }) {
      await connection.pipeline([['SADD', keys.begun(id), tag as string]])
    },
    requeue: ({ tag }, counted) => turns.requeue({ tag, deaths: counted ? 1 : 0 }),
    deadLetter: ({ message, tag }, reason) => outcomes.deadLetter(message, reason, () => turns.acknowledge([tag])),
    stop: () => turns.idle(),
    flush,
    async drain(withinMs) {
      await waitAtMost(flush(), withinMs)
    },
    get unsettled() {
      return outcomes.pending
    },
    async leave(withinMs) {
      void turns.stop()
      parts.unwatch()
      // If Redis does not receive the sign-off, the lease of this worker runs out, and another worker requeues its messages.
      const logLeft = ({ message }: Error) =>
        log.warn({ reason: message }, 'could not sign off, another worker finds what is left')
      if (!connection.closed) await waitAtMost(worker.leave().catch(logLeft), withinMs)
      worker.stop()
    },
  }
}
