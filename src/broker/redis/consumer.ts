import { pauseMs } from '../../concurrency/retry.ts'
import { sleep } from '../../concurrency/sleep.ts'
import { waitAtMost } from '../../concurrency/with-timeout.ts'
import type { Log } from '../../log.ts'
import type { ConsumeOptions, Consumer, Delivery } from '../broker.ts'
import { followsOf, isRecorded } from '../outcomes/sequel.ts'
import { createClaimAhead } from '../prefetch.ts'
import { createRedisClaims, type GivenBack, type Taken } from './claims.ts'
import { type Command, isRedisConnectionError, type RedisConnection } from './connection.ts'
import { type Opened, openEnvelope, tagOfUnreadable } from './envelope.ts'
import { listsInOrder, type RedisKeys } from './keys.ts'
import { type RedisSettlement, unreadable } from './settlement.ts'
import type { RedisWake } from './wake.ts'
import type { RedisWorker } from './worker.ts'

const BACKOFF = { firstMs: 50, maxMs: 5000 }
/** Wake-ups are told by the server; this is for one that got lost, and costs one empty script. */
const LOOK_AGAIN_MS = 30_000
/** Of one claim: the server does nothing else meanwhile, for about 6 ms; and Lua passes at most 8,000 values on. */
const MAX_TAKE = 1000
/** Tags of one acknowledgement. */
const MAX_ACK = 1000
/** Outcomes that PostgreSQL has not taken yet: with so many, no more messages are taken. */
const MAX_UNRECORDED = 2000

export interface RedisConsumerParts {
  /** Name among the workers of this server (redis-worker.ts). */
  readonly id: string
  readonly connection: RedisConnection
  readonly keys: RedisKeys
  readonly prefix: string
  settle(onStored: (tags: readonly string[]) => void): RedisSettlement
  readonly log: Log
  register(wake: () => void): Promise<RedisWorker>
  /** One for all consumers of a process: `wake` is called when something may have come. */
  listen(wake: () => void): Promise<RedisWake>
  unlisten(wake: () => void): void
}

interface Held extends Delivery {
  readonly tag: string
}

/**
 * A worker's hold on its queues in Redis. Outcomes go to PostgreSQL first; what is stored there is acknowledged here, together with the
 * next claim, in one round trip. One is under way at a time, so a busy worker batches by itself and an idle one waits for nothing.
 */
export async function createRedisConsumer(parts: RedisConsumerParts, options: ConsumeOptions): Promise<Consumer> {
  const { id, connection, keys, log } = parts
  const claims = createRedisClaims(connection, keys, id)
  const held = new Set<Delivery>()
  /** Everything that lies in `unacked` on our account, settled or not. */
  const tags = new Set<string>()
  const ahead = createClaimAhead(options.concurrency)
  /** Held, and acknowledged before they ran. */
  const early = new WeakSet<Delivery>()
  const queues = [...options.queues]
  let acks: string[] = []
  let backs: GivenBack[] = []
  let sequence = 0
  let stopped = false
  let closed = false
  let forgotten = false
  /** The queues may hold something: true after each sign of it, false after a claim that left nothing. */
  let maybeMore = true
  let pumping: Promise<void> | undefined
  let worker: RedisWorker | undefined
  let waker: RedisWake | undefined

  const wake = () => {
    maybeMore = true
    pump({ atOnce: true })
  }

  /** Unless something has come: after the current turn of the event loop, so that tasks that end together leave together. */
  const pump = ({ atOnce } = { atOnce: false }) => {
    if (pumping === undefined && waker !== undefined && !closed && !connection.closed && hasWork()) {
      const turning = atOnce ? turns() : new Promise<void>((resolve) => setImmediate(resolve)).then(turns)
      pumping = turning.finally(() => {
        pumping = undefined
        pump()
      })
    }
  }

  const claimable = () => (stopped || !maybeMore || settlement.pending >= MAX_UNRECORDED ? 0 : Math.min(MAX_TAKE, ahead.room()))
  const hasWork = () => acks.length > 0 || backs.length > 0 || claimable() > 0

  const turns = async () => {
    for (let attempt = 0; hasWork() && !closed && !connection.closed; ) {
      try {
        if (forgotten) await giveBackForgotten()
        await turn()
        attempt = 0
      } catch (error) {
        forgotten = true
        const { message } = error as Error
        if (message.startsWith('GONE')) await worker?.register().catch(() => {})
        else if (!isRedisConnectionError(error)) log.error({ err: error }, 'Redis refuses, trying again')
        if (!closed) await sleep(pauseMs(attempt++, BACKOFF))
      }
    }
  }

  const turn = async () => {
    const acked = acks.slice(0, MAX_ACK)
    const given = backs.slice(0, MAX_ACK)
    const room = claimable()
    // Before the command, not after it: a wake-up that arrives meanwhile must not be forgotten.
    if (room > 0) maybeMore = false
    const lists = listsInOrder(parts.prefix, queues)
    const commands: Command[] = []
    if (given.length > 0) commands.push(claims.giveBack(given))
    if (acked.length > 0) commands.push(claims.ack(acked))
    const takeAt = commands.length
    if (room > 0) {
      const names = lists.map(({ list }) => list)
      commands.push(claims.take(names, room, sequence), ...(waker?.arm(names) ?? []))
    }
    const replies = await connection.pipeline(commands)
    acks = acks.slice(acked.length)
    backs = backs.slice(given.length)
    for (const tag of acked) tags.delete(tag)
    for (const { tag } of given) tags.delete(tag)
    if (given.length > 0) maybeMore = true
    if (room === 0) return
    if (Number(replies.at(-1)) > 0) maybeMore = true
    // The queue that was first has had its turn.
    queues.push(...queues.splice(0, 1))
    accept(replies[takeAt] as Taken, lists)
  }

  /** The answer to a claim may have been lost on its way: what the server thinks is ours and is not goes back. */
  const giveBackForgotten = async () => {
    const lost = (await claims.held()).filter((tag) => !tags.has(tag)).slice(0, MAX_ACK)
    if (lost.length > 0) await connection.pipeline([claims.giveBack(lost.map((tag) => ({ tag, deaths: 0 })))])
    forgotten = lost.length === MAX_ACK
    maybeMore = true
  }

  const accept = ([broken, counts, deaths, messages]: Taken, lists: readonly { queue: string }[]) => {
    if (broken > 0) void keepBroken()
    const fresh: Held[] = []
    const seenBefore: Held[] = []
    const arrived: Held[] = []
    let at = 0
    for (const [place, { queue }] of lists.entries()) {
      for (const end = at + (counts[place] ?? 0); at < end; at++) {
        sequence++
        const opened = open(messages[at] ?? '', queue)
        if (opened === undefined) continue
        const died = deaths[at] ?? 0
        const { message, refused, tag } = opened
        const delivery: Held = { message, deliveries: died + 1, tag, refused }
        tags.add(tag)
        held.add(delivery)
        if (options.inOrder === true) arrived.push(delivery)
        if (died > 0 || opened.redelivered) seenBefore.push(delivery)
        else fresh.push(delivery)
      }
    }
    ahead.taken(fresh.length + seenBefore.length)
    if (options.inOrder === true && (seenBefore.length > 0 || looking !== undefined)) return lookInTurn(arrived)
    if (fresh.length > 0) options.onDeliveries(fresh)
    if (seenBefore.length > 0) void handOutAgain(seenBefore)
  }

  let looking: Promise<void> | undefined
  const lookInTurn = (arrived: readonly Held[]) => {
    const mine = (looking ?? Promise.resolve())
      .then(() => handOutAgain(arrived))
      .finally(() => {
        if (looking === mine) looking = undefined
      })
    looking = mine
  }

  /** The script has found a tag in it, so it is an envelope, but perhaps one with numbers that JSON does not have. */
  const open = (text: string, queue: string): Opened | undefined => {
    try {
      return openEnvelope(text, queue)
    } catch (error) {
      const tag = tagOfUnreadable(text)
      tags.add(tag)
      settlement.keepAside(unreadable(queue, text), `unreadable envelope: ${(error as Error).message}`, () => ack([tag]))
      return undefined
    }
  }

  /** What has not even a tag lies in a list of this worker until PostgreSQL has it. */
  const keepBroken = async () => {
    for (const { entry, list, text } of await claims.broken().catch(() => []))
      settlement.keepAside(unreadable(list, text), 'no envelope with a delivery tag', () => {
        claims.removeBroken(entry).catch(() => {})
      })
  }

  /** Its worker may have died between recording and acknowledging: then it must not run again. */
  const handOutAgain = async (deliveries: readonly Held[]) => {
    const known = await settlement.recorded(deliveries.map(({ message }) => message))
    const isDone = ({ message }: Held) => isRecorded(message, known.get(message.headers.id))
    const open = deliveries.filter((delivery) => held.has(delivery) && !isDone(delivery))
    for (const delivery of deliveries) {
      const { id, task } = delivery.message.headers
      if (!isDone(delivery)) continue
      log.info({ id, task }, 'outcome already recorded, message acknowledged without running')
      finish(delivery, null)
    }
    if (open.length > 0) options.onDeliveries(open)
  }

  const ack = (done: readonly string[]) => {
    for (const tag of done) acks.push(tag)
    pump()
  }
  const settlement = parts.settle(ack)

  const finish: Consumer['finish'] = (delivery, outcome, { effects } = {}) => {
    if (!held.delete(delivery)) return
    const tag = early.has(delivery) ? undefined : (delivery.tag as string)
    const follows = followsOf(delivery.message, effects)
    ahead.finished()
    // Also what stores nothing: of two messages with one id the second must not be acknowledged before the outcome of the first is stored.
    if (outcome !== null || follows !== undefined || tag !== undefined)
      settlement.record(outcome, { tag, message: delivery.message, follows })
    pump()
  }

  /** In doubt it does not run here: if the server has not acknowledged it, it is given back. */
  const acknowledge = async (delivery: Delivery): Promise<boolean> => {
    if (!held.has(delivery)) return false
    const tag = delivery.tag as string
    early.add(delivery)
    const mine = await connection.pipeline([claims.ackMine(tag)]).catch(() => undefined)
    tags.delete(tag)
    if (mine?.[0] === 1) return true
    if (held.delete(delivery)) ahead.returned()
    if (mine === undefined) forgotten = true
    wake()
    return false
  }

  const flush = async () => {
    while (!closed && !connection.closed && (pumping !== undefined || hasWork() || settlement.pending > 0)) {
      pump()
      await settlement.flush()
      await (pumping ?? new Promise<void>((resolve) => setImmediate(resolve)))
    }
  }

  worker = await parts.register(wake)
  waker = await parts.listen(wake)
  const floor = setInterval(wake, LOOK_AGAIN_MS)
  wake()
  return {
    finish,
    acknowledge,
    async begin(delivery) {
      await connection.pipeline([['SADD', keys.begun(id), delivery.tag as string]])
    },
    started(delivery, outcome) {
      if (held.has(delivery)) settlement.record(outcome)
    },
    requeue(delivery, { counted }) {
      if (!held.delete(delivery)) return
      ahead.returned()
      if (early.has(delivery)) return
      backs.push({ tag: delivery.tag as string, deaths: counted ? 1 : 0 })
      pump()
    },
    deadLetter(delivery, { reason }) {
      if (!held.delete(delivery)) return
      ahead.returned()
      settlement.keepAside(delivery.message, reason, () => ack([delivery.tag as string]))
    },
    async stop() {
      stopped = true
      await pumping
    },
    flush,
    async close(withinMs) {
      stopped = true
      clearInterval(floor)
      await waitAtMost(flush(), withinMs)
      closed = true
      parts.unlisten(wake)
      if (settlement.pending > 0)
        log.error({ finished: settlement.pending }, 'outcomes not recorded in time, their tasks are run again')
      // What it does not hear Redis finds out: the lease of this worker is not renewed any more.
      const sayLeft = ({ message }: Error) =>
        log.warn({ reason: message }, 'could not sign off, another worker finds what is left')
      if (!connection.closed && worker !== undefined) await waitAtMost(worker.leave().catch(sayLeft), withinMs)
      worker?.stop()
    },
  }
}
