import type { Channel, ConsumeMessage } from 'amqplib'
import type { Outcome } from '../../app/outcome.ts'
import { pauseMs } from '../../concurrency/retry.ts'
import { sleep } from '../../concurrency/sleep.ts'
import { waitAtMost } from '../../concurrency/with-timeout.ts'
import type { Database } from '../../database/database.ts'
import type { Log } from '../../log.ts'
import { decodeCelery } from '../../message/wire.ts'
import type { ConsumeOptions, Consumer, Delivery, FinishOptions, Refusal, ResultMirror } from '../broker.ts'
import { createRecorder } from '../outcomes/recorder.ts'
import { followsOf } from '../outcomes/sequel.ts'
import { createClaimAhead } from '../prefetch.ts'
import { replyAddress } from '../reply-address.ts'
import { registerWorker } from '../worker-session.ts'
import { type AmqpAcks, createAmqpAcks, type Held } from './acks.ts'
import { createAmqpConfirmations, type Finished } from './confirm.ts'
import type { AmqpConnection } from './connection.ts'
import { createRedeliveries } from './deaths.ts'
import { createAmqpRedelivery } from './redelivery.ts'
import type { AmqpSending } from './sending.ts'
import { type AmqpSubscriptions, createAmqpSubscriptions } from './subscriptions.ts'
import { withAnswerTimeout } from './timeout.ts'
import type { AmqpTopology } from './topology.ts'

const BACKOFF = { firstMs: 100, maxMs: 5000 }
/** Shared plans close a connection with more than 1,000 unacknowledged messages (reference/web-platform.md §1.4). */
const MAX_PREFETCH = 800
/** The rate is looked at no more often: to change a limit costs two round trips. */
const RELIMIT_EVERY_MS = 100

export interface AmqpConsumerParts {
  readonly connection: AmqpConnection
  readonly topology: AmqpTopology
  readonly publisher: Pick<AmqpSending, 'reply'>
  readonly database: Database
  readonly log: Log
}

export interface AmqpConsumer extends Consumer {
  /** Messages of a queue that this consumer holds. */
  holds(queue: string): number
}

/**
 * A worker's hold on its queues in RabbitMQ. Outcomes go to PostgreSQL in batches, acknowledgements after them. When the channel or the
 * connection breaks, the server hands the messages out again; what was finished meanwhile is stored, and then only acknowledged.
 */
export async function createAmqpConsumer(parts: AmqpConsumerParts, options: ConsumeOptions): Promise<AmqpConsumer> {
  const { connection, topology, publisher, database, log } = parts
  const { concurrency, queues } = options
  const held = new Set<Held>()
  /** Acknowledged before they ran. */
  const early = new WeakSet<Delivery>()
  const ahead = createClaimAhead(concurrency)
  const redeliveries = createRedeliveries(database)
  /** What runs beside the recorder and must be over before `flush` resolves. */
  const errands = new Set<Promise<void>>()
  const ending = new AbortController()
  let subscriptions: AmqpSubscriptions | undefined
  let current: Channel | undefined
  let prefetch = concurrency
  let limitedAt = 0
  let arrived: Held[] = []
  let stopped = false

  const onStored = (batch: readonly Finished[], besides: readonly Outcome[]) => {
    if (options.mirror === undefined) confirm(batch, besides)
    else errand(mirrored(batch, besides, options.mirror))
  }

  const mirrored = async (batch: readonly Finished[], besides: readonly Outcome[], mirror: ResultMirror) => {
    const own = batch.flatMap(({ outcome, delivery }) => (outcome === null ? [] : [{ outcome, message: delivery?.message }]))
    await mirror.write([...own, ...besides.map((outcome) => ({ outcome, message: undefined }))])
    confirm(batch, besides)
  }

  const confirm = (batch: readonly Finished[], besides: readonly Outcome[]) => {
    confirmations.confirm(batch, besides)
    relimit()
  }

  const confirmations = createAmqpConfirmations(publisher, await replyAddress(database))
  const recorder = createRecorder<Finished>(database, {
    ...{ name: options.name, log, planner: options.planner, unstored: options.unstored, onStored },
  })
  const worker = await registerWorker(database, options, log, () => {})
  const redelivery = createAmqpRedelivery({
    ...{ database, log, redeliveries, worker, mirror: options.mirror, signal: ending.signal, held },
    flush: () => recorder.flush(),
    confirmations,
    run: options.onDeliveries,
    settle: (delivery) => finish(delivery, null),
  })

  /** Fast tasks are taken hundreds at a time, slow ones one per slot, in steps of two so that small changes of the rate cost nothing. */
  const relimit = () => {
    if (subscriptions === undefined || stopped || performance.now() - limitedAt < RELIMIT_EVERY_MS) return
    const target = ahead.target()
    const wanted =
      target <= concurrency ? concurrency : Math.min(MAX_PREFETCH, concurrency * 2 ** Math.ceil(Math.log2(target / concurrency)))
    if (wanted <= prefetch && wanted > prefetch / 4) return
    limitedAt = performance.now()
    prefetch = Math.max(concurrency, wanted)
    subscriptions.limit(Math.ceil(Math.max(concurrency, prefetch / queues.length))).catch(ignore)
  }

  /** Runs until closed: a channel, its consumers, and the wait for its end. */
  const serve = async () => {
    for (let attempt = 0; !stopped; ) {
      try {
        const { ended } = await open()
        attempt = 0
        await ended
      } catch (error) {
        if (connection.closed) return
        log.debug({ reason: (error as Error).message }, 'cannot consume from RabbitMQ now, trying again')
      }
      if (!stopped) await sleep(pauseMs(attempt++, BACKOFF), ending.signal)
      else return
    }
  }

  const open = async (): Promise<{ ended: Promise<void> }> => {
    for (const queue of queues) await topology.declare(queue)
    const channel = await connection.createChannel()
    // Whoever closes this consumer closes the channel that it finds; one that comes later is nobody's.
    if (ending.signal.aborted) await channel.close()
    current = channel
    channel.on('error', (error) =>
      log.warn({ reason: error.message }, 'consuming channel closed by RabbitMQ, opening another one'),
    )
    const mine = createAmqpAcks(channel)
    const ended = new Promise<void>((resolve) => {
      channel.on('close', () => {
        subscriptions = undefined
        redelivery.lost(mine)
        resolve()
      })
    })
    prefetch = concurrency
    const open = createAmqpSubscriptions({ channel, topology, log, exclusive: options.inOrder }, queues, (queue, raw) =>
      accept(mine, queue, raw),
    )
    await withAnswerTimeout('a consumer', open.limit(concurrency)).catch((error) => {
      channel.close().catch(ignore)
      throw error
    })
    subscriptions = open
    if (stopped) await open.stop()
    return { ended }
  }

  /** HOT. What one read from the socket brought is handed on together. */
  const accept = (from: AmqpAcks, queue: string, raw: ConsumeMessage) => {
    from.delivered(raw)
    const { headers = {}, contentType, contentEncoding, priority, correlationId, replyTo } = raw.properties
    const properties = {
      content_type: contentType,
      content_encoding: contentEncoding,
      priority,
      correlation_id: correlationId,
      reply_to: replyTo,
    }
    const { message, refused } = decodeCelery({ headers, properties, body: raw.content, queue })
    const delivery: Held = { message, deliveries: 1, tag: { acks: from, raw }, refused }
    held.add(delivery)
    ahead.taken(1)
    if (arrived.length === 0) queueMicrotask(handOut)
    arrived.push(delivery)
  }

  const handOut = () => {
    const all = arrived
    arrived = []
    const again = all.filter(({ tag, message }) => tag.raw.fields.redelivered && message.headers.id !== '')
    if (options.inOrder === true && (again.length > 0 || looking !== undefined)) return lookInTurn(all)
    const fresh = again.length === 0 ? all : all.filter((delivery) => !again.includes(delivery))
    if (fresh.length > 0) options.onDeliveries(fresh)
    if (again.length > 0) errand(redelivery.lookInto(again))
  }

  let looking: Promise<void> | undefined
  const lookInTurn = (all: readonly Held[]) => {
    const mine = (looking ?? Promise.resolve()).then(() => redelivery.lookInto(all))
    const settled = mine.catch(ignore).then(() => {
      if (looking === settled) looking = undefined
    })
    looking = settled
    errand(mine)
  }

  const errand = (work: Promise<void>) => {
    const promise = work.catch((err) => log.error({ err }, 'unexpected failure')).finally(() => errands.delete(promise))
    errands.add(promise)
  }

  const finish = (delivery: Held, outcome: Outcome | null, { rejected = false, effects }: FinishOptions = {}) => {
    if (!held.delete(delivery)) return
    const redeliveredId = delivery.tag.raw.fields.redelivered ? delivery.message.headers.id : undefined
    const { message } = delivery
    recorder.record({ outcome, delivery, message, redeliveredId, rejected, follows: followsOf(message, effects) })
    ahead.finished()
    resume()
  }

  const resume = () => {
    if (subscriptions !== undefined && subscriptions.paused > 0 && held.size < concurrency && !stopped)
      subscriptions.resume().catch(ignore)
  }

  /** In doubt it does not run here, because the server may hand it out again. */
  const acknowledge = async (delivery: Held): Promise<boolean> => {
    if (!held.has(delivery)) return false
    const { acks, raw } = delivery.tag
    early.add(delivery)
    acks.ack([raw])
    if (await acks.seen()) return true
    if (held.delete(delivery)) ahead.returned()
    return false
  }

  let backs: { delivery: Held; counted: boolean }[] = []
  const requeue = (delivery: Held, { counted }: { counted: boolean }) => {
    if (!held.delete(delivery)) return
    ahead.returned()
    if (early.has(delivery)) return
    if (backs.length === 0) setImmediate(() => errand(giveBack()))
    backs.push({ delivery, counted })
  }

  /** Noted first, so that the redelivery is not taken for a death. A worker that is full takes nothing more from those queues meanwhile. */
  const giveBack = async () => {
    const batch = backs
    backs = []
    const queuesOf = new Set(batch.map(({ delivery }) => delivery.message.queue))
    if (held.size >= concurrency && connection.blockedSince === undefined)
      for (const queue of queuesOf)
        if (subscriptions !== undefined) await withAnswerTimeout('a pause', subscriptions.pause(queue)).catch(ignore)
    const noted = batch.map(({ delivery, counted }) => ({ id: delivery.message.headers.id, counted }))
    await redeliveries
      .handBack(noted)
      .catch((error: Error) => log.debug({ reason: error.message }, 'hand-back could not be noted'))
    for (const { delivery } of batch) delivery.tag.acks.reject(delivery.tag.raw, { requeue: true })
    resume()
  }

  const keepAside = async ({ message, tag }: Held, { reason }: Refusal) => {
    const kept = await redelivery.surely(() => recorder.deadLetter(message, reason).then(() => true))
    // What the database refuses for good stays unacknowledged, and so in RabbitMQ.
    if (kept && !ending.signal.aborted) tag.acks.reject(tag.raw, { requeue: false })
  }

  const flush = async () => {
    do {
      await new Promise<void>((resolve) => setImmediate(resolve))
      await Promise.all(errands)
      await recorder.flush()
    } while (errands.size > 0 || recorder.pending > 0 || backs.length > 0)
  }

  const stop = async () => {
    stopped = true
    // A server that reads nothing would not answer.
    if (subscriptions !== undefined && connection.blockedSince === undefined)
      await withAnswerTimeout('the end of a consumer', subscriptions.stop()).catch(ignore)
  }

  void serve()
  return {
    finish: (delivery, outcome, how) => finish(delivery as Held, outcome, how),
    acknowledge: (delivery) => acknowledge(delivery as Held),
    begin: (delivery) => redeliveries.begin(delivery.message.headers.id, worker.id),
    started(delivery, outcome) {
      if (held.has(delivery as Held)) recorder.record({ outcome, delivery: undefined, rejected: false })
    },
    requeue: (delivery, how) => requeue(delivery as Held, how),
    deadLetter(delivery, refusal) {
      if (!held.delete(delivery as Held)) return
      ahead.returned()
      errand(keepAside(delivery as Held, refusal))
    },
    stop,
    flush,
    async close(withinMs) {
      await stop()
      const flushed = await waitAtMost(flush(), withinMs)
      for (const delivery of [...held]) requeue(delivery, { counted: false })
      if (flushed) await waitAtMost(flush(), withinMs)
      ending.abort()
      if (recorder.pending > 0)
        log.error({ finished: recorder.pending }, 'outcomes not recorded in time, their tasks are run again')
      if (current !== undefined && connection.blockedSince === undefined)
        await withAnswerTimeout('the end of a channel', current.close()).catch(ignore)
      await worker.leave()
    },
    holds(queue) {
      let count = 0
      for (const { message } of held) if (message.queue === queue) count++
      return count
    },
  }
}

const ignore = () => {}
