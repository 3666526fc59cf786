import { createPump, type Pump } from '../../concurrency/pump.ts'
import type { Log } from '../../log.ts'
import type { ConsumeOptions } from '../broker.ts'
import { createBatchQueue } from '../consumer/batch-queue.ts'
import type { LifeCycle } from '../consumer/life-cycle.ts'
import type { Prefetch } from '../consumer/prefetch.ts'
import type { RedisClaims, Requeue, Taken } from './claims.ts'
import { type Command, isRedisConnectionError, type RedisConnection } from './connection.ts'
import { listsInOrder } from './keys.ts'
import type { RedisOutcomes } from './outcomes.ts'
import type { RedisWake } from './wake.ts'

const BACKOFF = { firstMs: 50, maxMs: 5000 }
/** Most messages of one claim. The script blocks the server for about 6 ms, and a Lua function takes at most 8,000 arguments. */
const MAX_TAKE = 1000
/** Most tags in one acknowledgement. */
const MAX_ACK = 1000
/** If this many outcomes wait to be stored in PostgreSQL, no more messages are claimed. */
const MAX_UNSTORED = 2000

export interface RedisTurnsParts {
  readonly connection: RedisConnection
  readonly prefix: string
  readonly claims: RedisClaims
  readonly life: LifeCycle
  readonly prefetch: Pick<Prefetch, 'room'>
  /** Tags of all messages in `unacked` that this worker holds. */
  readonly tags: Set<string>
  readonly outcomes: Pick<RedisOutcomes, 'pending'>
  readonly log: Log
  readonly accept: (taken: Taken, lists: readonly { readonly queue: string }[]) => void
  readonly arm: RedisWake['arm']
  /** Called when the server has declared this worker dead. */
  readonly onDeclaredDead: () => void
}

export interface RedisTurns extends Pick<Pump, 'wake' | 'wakeNow' | 'idle' | 'stop' | 'running'> {
  acknowledge(tags: readonly string[]): void
  requeue(item: Requeue): void
  readonly hasWork: boolean
}

/** The turns of one consumer. Each turn sends acknowledgements, requeues and the next claim to Redis in one round trip. */
export function createRedisTurns(parts: RedisTurnsParts, options: Pick<ConsumeOptions, 'queues'>): RedisTurns {
  const { connection, claims, life, prefetch, tags, outcomes, log } = parts
  const queues = [...options.queues]
  const acks = createBatchQueue<string>()
  const requeues = createBatchQueue<Requeue>()
  let sequence = 0

  const claimable = () => (life.mayClaim && outcomes.pending < MAX_UNSTORED ? Math.min(MAX_TAKE, prefetch.room()) : 0)
  const hasWork = () => life.isOpen && !connection.closed && (acks.size > 0 || requeues.size > 0 || claimable() > 0)

  const turn = async () => {
    if (life.isInDoubt) await reconcile()
    const acked = acks.first(MAX_ACK)
    const requeued = requeues.first(MAX_ACK)
    const room = claimable()
    // This precedes the command, so that a signal that arrives during the command is not lost.
    if (room > 0) life.send('claim-sent')
    const lists = listsInOrder(parts.prefix, queues)
    const commands: Command[] = []
    if (requeued.length > 0) commands.push(claims.requeue(requeued))
    if (acked.length > 0) commands.push(claims.ack(acked))
    const takeAt = commands.length
    if (room > 0) {
      const names = lists.map(({ list }) => list)
      commands.push(claims.take(names, room, sequence), ...parts.arm(names))
    }
    const replies = await connection.pipeline(commands)
    acks.written(acked)
    requeues.written(requeued)
    for (const tag of acked) tags.delete(tag)
    for (const { tag } of requeued) tags.delete(tag)
    // The last reply to a claim is the number of lists that still hold messages.
    if (requeued.length > 0 || (room > 0 && Number(replies.at(-1)) > 0)) life.send('messages-signalled')
    if (room === 0) return
    // The first queue moves to the end of the order, so that a full queue does not delay the others.
    queues.push(...queues.splice(0, 1))
    const taken = replies[takeAt] as Taken
    for (const count of taken[1]) sequence += count
    parts.accept(taken, lists)
  }

  /** Requeues messages that only the server counts as held by this worker, because the answer to a claim may have been lost. */
  const reconcile = async () => {
    life.send('recovery-started')
    const lost = (await claims.held()).filter((tag) => !tags.has(tag)).slice(0, MAX_ACK)
    if (lost.length > 0) await connection.pipeline([claims.requeue(lost.map((tag) => ({ tag, deaths: 0 })))])
    life.send('recovered')
    if (lost.length === MAX_ACK) life.send('link-failed')
  }

  const pump = createPump({
    ...{ hasWork, turn, backoff: BACKOFF },
    onFailure(error) {
      life.send('link-failed')
      if ((error as Error).message.startsWith('GONE')) parts.onDeclaredDead()
      else if (!isRedisConnectionError(error)) log.error({ err: error }, 'Redis refuses, trying again')
    },
  })

  return {
    ...{ wake: pump.wake, wakeNow: pump.wakeNow, idle: pump.idle, stop: pump.stop },
    acknowledge(done) {
      for (const tag of done) acks.add(tag)
      pump.wake()
    },
    requeue(item) {
      requeues.add(item)
      pump.wake()
    },
    get hasWork() {
      return hasWork()
    },
    get running() {
      return pump.running
    },
  }
}
