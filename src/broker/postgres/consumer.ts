import { pauseMs } from '../../concurrency/retry.ts'
import { sleep } from '../../concurrency/sleep.ts'
import { isConnectionError } from '../../concurrency/transient.ts'
import type { Database } from '../../database/database.ts'
import { sql } from '../../database/sql.ts'
import type { Log } from '../../log.ts'
import type { ConsumeOptions, Consumer, Delivery } from '../broker.ts'
import { nextBatch } from '../outcomes/backlog.ts'
import { followsOf, isRecorded } from '../outcomes/sequel.ts'
import { createClaimAhead } from '../prefetch.ts'
import { type PostgresWorker, registerWorker } from '../worker-session.ts'
import { createEarlyAcks } from './early-acks.ts'
import { type MessageRow, toMessage } from './row.ts'
import { createSettler, recordedOf, type Settlement } from './settle.ts'

const BACKOFF = { firstMs: 100, maxMs: 5000 }
/** Wake-ups come by NOTIFY; this is for a connection pooler that swallows them, and costs one empty statement. */
const LOOK_AGAIN_MS = 30_000

interface Held extends Delivery {
  readonly tag: string
  /** It runs with a death on its record. */
  begun?: boolean
  /** The death of this worker, which lives, was counted against it. */
  blamed?: boolean
}

/**
 * A worker's hold on its queues in PostgreSQL. One statement at a time stores what was finished, acknowledges it and claims the next
 * messages (sql/queries/message-settle.sql); what finishes meanwhile goes out with the next: a group commit without a timer, so an idle
 * system waits for nothing and a busy one batches by itself.
 */
export async function createPostgresConsumer(database: Database, options: ConsumeOptions, log: Log): Promise<Consumer> {
  const held = new Map<string, Held>()
  const ahead = createClaimAhead(options.concurrency)
  let settlements: Settlement[] = []
  let backs: { tag: string; counted: number }[] = []
  let letters: { tag: string; reason: string }[] = []
  const acks = createEarlyAcks(database)
  /** Held, and acknowledged before they ran. */
  const early = new Set<string>()
  let stopped = false
  let closed = false
  /** The queues may hold something: true after each sign of it, false after a claim that came back short. */
  let maybeMore = true
  /** Times that a statement failed or the connection was away, and how many of them the server was asked since then what it thinks is ours. */
  let doubts = 0
  let cleared = 0
  let said = ''
  const closing = new AbortController()
  let pumping: Promise<void> | undefined
  let worker: PostgresWorker
  /** Before that a sign of messages has nobody to claim them for. */
  let registered = false
  const settler = createSettler(database, { ...options, log, workerId: () => worker.id })

  const wake = () => {
    maybeMore = true
    pump()
  }

  const pump = () => {
    if (pumping === undefined && registered && !closed && hasWork()) {
      // After the current turn of the event loop, so that tasks that end together leave together.
      pumping = new Promise<void>((resolve) => setImmediate(resolve)).then(turn).finally(() => {
        pumping = undefined
        pump()
      })
    }
  }

  const claimable = () => (stopped || !maybeMore ? 0 : ahead.room())
  const unwritten = () => settlements.length + backs.length + letters.length + acks.size
  const inDoubt = () => doubts > cleared
  const hasWork = () => inDoubt() || unwritten() > 0 || claimable() > 0

  const turn = async () => {
    for (let attempt = 0; hasWork() && !closed; ) {
      try {
        if (inDoubt()) await recover()
        if (acks.size > 0) await sendEarly()
        if (letters.length > 0) await sendLetters()
        if (backs.length > 0) await giveBack()
        if (settlements.length > 0 || claimable() > 0) await settleAndClaim()
        if (attempt > 0) log.info('database takes outcomes again')
        attempt = 0
        said = ''
      } catch (err) {
        doubts++
        say(err as Error)
        await sleep(pauseMs(attempt++, BACKOFF), closing.signal)
      }
    }
  }

  /** One line per reason, not per attempt. */
  const say = (err: Error) => {
    if (said === err.message) return
    said = err.message
    const finished = settlements.length
    if (isConnectionError(err)) log.warn({ reason: err.message, finished }, 'database away, keeping outcomes until it is back')
    else log.error({ err, finished }, 'database refuses, keeping outcomes and trying again')
  }

  /**
   * The answer to a claim may have been lost on its way: what the server thinks is ours and is not goes back, and what is ours and was made
   * ready is taken again. Without a connection to its client the server still ends the statement that it executes, so that is waited for first.
   */
  const recover = async () => {
    const upTo = doubts
    const blamed = [...held.values()].filter((each) => each.blamed)
    await database.transaction(async (client) => {
      const registered = (await client.query(sql('worker-settled'), [worker.id])).length > 0
      const unsaid = [...settlements, ...backs, ...letters].flatMap(({ tag }) => tag ?? [])
      const ours = [...held.keys(), ...unsaid]
      await client.query(sql('message-forgotten'), [worker.id, ours])
      // Declared dead, and not registered anew yet: then nobody would find what it takes.
      if (registered) await client.query(sql('message-retake'), [worker.id, ours, tagsOf(blamed), tagsOf(begun())])
    })
    for (const each of blamed) each.blamed = false
    cleared = upTo
    maybeMore = true
  }

  const begun = () => [...held.values()].filter((each) => each.begun)

  /** As worker-hand-back.sql counts; nothing was claimed since. */
  const returned = ({ declaredDead }: { declaredDead: boolean }) => {
    if (declaredDead) for (const each of held.values()) each.blamed = each.blamed || each.deliveries === 1 || each.begun === true
    doubts++
    pump()
  }

  const settleAndClaim = async () => {
    const batch = nextBatch(settlements)
    const room = claimable()
    // Before the statement, not after it: a wake-up that arrives meanwhile must not be forgotten.
    if (room > 0) maybeMore = false
    const { rows, claimed, besides } = await settler.settle(batch, room)
    const finished = rows.length === 0 ? undefined : new Set(settlements.map(({ tag }) => tag))
    settlements = settlements.slice(batch.length)
    options.unstored?.stored(batch)
    if (options.mirror !== undefined)
      void options.mirror.write([...recordedOf(batch), ...besides.map((outcome) => ({ outcome, message: undefined }))])
    if (room > 0 && (!claimed || rows.length >= room)) maybeMore = true
    if (finished !== undefined) accept(rows.filter(({ id }) => isNews(id, finished)))
  }

  /**
   * What is in hand and was made ready meanwhile (message-retake.sql) may be claimed again. What is finished only wants to be acknowledged: no
   * statement acknowledges a message that it claims.
   */
  const isNews = (tag: string, finished: ReadonlySet<string | undefined>): boolean => {
    if (finished.has(tag)) keep({ tag, message: undefined, outcome: null, early: false })
    return !held.has(tag) && !finished.has(tag)
  }

  const accept = (rows: readonly MessageRow[]) => {
    const deliveries: Held[] = []
    ahead.taken(rows.length)
    for (const row of rows) {
      const delivery: Held = { message: readMessage(row), deliveries: row.deaths + 1, tag: row.id }
      held.set(row.id, delivery)
      if (isRecorded(delivery.message, row.recorded)) {
        log.info({ id: row.task_id, task: row.task }, 'outcome already recorded, message acknowledged without running')
        finish(delivery, null)
      } else deliveries.push(delivery)
    }
    if (deliveries.length > 0) options.onDeliveries(deliveries)
  }

  /** A row whose headers are broken is still delivered: the worker decides, and records it. */
  const readMessage = (row: MessageRow) => {
    try {
      return toMessage(row)
    } catch {
      return toMessage({ ...row, headers: null, properties: null, body: '' })
    }
  }

  /** Until it is stored. */
  const keep = (settlement: Settlement) => {
    settlements.push(settlement)
    options.unstored?.added(settlement)
  }

  const finish: Consumer['finish'] = (delivery, outcome, { effects } = {}) => {
    const { message } = delivery
    const tag = delivery.tag as string
    if (!held.delete(tag)) return
    keep({ tag, message, outcome, early: early.delete(tag), follows: followsOf(message, effects) })
    ahead.finished()
    pump()
  }

  const sendEarly = async () => {
    for (const tag of await acks.send(worker.id)) {
      early.delete(tag)
      if (held.delete(tag)) ahead.returned()
    }
  }

  const sendLetters = async () => {
    const batch = letters
    await database.query(sql('message-dead-letter'), [batch.map(({ tag }) => tag), batch.map(({ reason }) => reason)])
    letters = letters.slice(batch.length)
  }

  const giveBack = async () => {
    const batch = backs
    await database.query(sql('message-give-back'), [
      batch.map(({ tag }) => tag),
      batch.map(({ counted }) => counted),
      worker.id,
      database.channel('message'),
    ])
    backs = backs.slice(batch.length)
  }

  const flush = async () => {
    while (pumping !== undefined || (hasWork() && !closed)) {
      pump()
      await pumping
    }
  }

  worker = await registerWorker(database, options, log, wake, returned)
  registered = true
  const floor = setInterval(wake, LOOK_AGAIN_MS)
  pump()
  return {
    finish,
    acknowledge(delivery) {
      const tag = delivery.tag as string
      if (!held.has(tag) || closed) return Promise.resolve(false)
      early.add(tag)
      const gone = acks.add(tag, worker.id)
      pump()
      return gone
    },
    async begin(delivery) {
      const mine = held.get(delivery.tag as string)
      if (mine !== undefined) mine.begun = true
      await database.query(sql('message-begin'), [delivery.tag, worker.id])
    },
    started(delivery, outcome) {
      if (!held.has(delivery.tag as string)) return
      keep({ tag: undefined, message: undefined, outcome, early: false })
      pump()
    },
    requeue(delivery, { counted }) {
      if (!held.delete(delivery.tag as string)) return
      ahead.returned()
      if (early.delete(delivery.tag as string)) return
      backs.push({ tag: delivery.tag as string, counted: counted ? 1 : 0 })
      pump()
    },
    deadLetter(delivery, { reason }) {
      if (!held.delete(delivery.tag as string)) return
      letters.push({ tag: delivery.tag as string, reason })
      ahead.returned()
      pump()
    },
    async stop() {
      stopped = true
      // While the database is away nothing is under way that could bring more.
      if (!inDoubt()) await pumping
    },
    flush,
    async close(withinMs) {
      stopped = true
      clearInterval(floor)
      await (withinMs === undefined ? flush() : Promise.race([flush(), sleep(withinMs, closing.signal)]))
      closed = true
      closing.abort()
      acks.giveUp()
      if (unwritten() > 0)
        log.error({ finished: settlements.length }, 'outcomes not recorded in time, their tasks are run again by the next worker')
      await worker.leave()
    },
  }
}

const tagsOf = (deliveries: readonly Held[]) => deliveries.map(({ tag }) => tag)
