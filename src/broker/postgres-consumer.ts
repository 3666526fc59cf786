import type { Outcome } from '../app/outcome.ts'
import { type Database, isConnectionError, isRefusal } from '../database/database.ts'
import { sql } from '../database/sql.ts'
import { tellOutcomes } from '../database/told-outcomes.ts'
import type { Log } from '../log.ts'
import type { Message } from '../message/message.ts'
import { pauseMs, sleep } from '../retry.ts'
import type { ConsumeOptions, Consumer, Delivery } from './broker.ts'
import { createClaimAhead } from './claim-ahead.ts'
import { type MessageRow, toMessage } from './postgres-row.ts'
import { type PostgresWorker, registerWorker } from './postgres-worker.ts'
import { lastOfEach, outcomeColumns, withoutValue } from './record-columns.ts'

const BACKOFF = { firstMs: 100, maxMs: 5000 }
/** Wake-ups come by NOTIFY; this is for a connection pooler that swallows them, and costs one empty statement. */
const LOOK_AGAIN_MS = 30_000
/** Outcomes of one statement: bounds its size, and the damage of one that cannot be stored. */
const MAX_SETTLE = 2000
/** Characters of the values in one statement, but for a single larger one: PostgreSQL takes a message of 1 GB, V8 a string of half of it. */
const MAX_SETTLE_LENGTH = 8_000_000

interface Held extends Delivery {
  readonly tag: string
}

interface Settlement {
  readonly tag: string | undefined
  readonly message: Message | undefined
  readonly outcome: Outcome | null
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
  let stopped = false
  let closed = false
  /** The queues may hold something: true after each sign of it, false after a claim that came back short. */
  let maybeMore = true
  /** A statement failed since the server was last asked what it thinks is ours. */
  let inDoubt = false
  let said = ''
  let claims = 0
  const closing = new AbortController()
  let pumping: Promise<void> | undefined
  let worker: PostgresWorker

  const wake = () => {
    maybeMore = true
    pump()
  }

  const pump = () => {
    if (pumping === undefined && !closed && hasWork()) {
      // After the current turn of the event loop, so that tasks that end together leave together.
      pumping = new Promise<void>((resolve) => setImmediate(resolve)).then(turn).finally(() => {
        pumping = undefined
        pump()
      })
    }
  }

  const claimable = () => (stopped || !maybeMore ? 0 : ahead.room())
  const unwritten = () => settlements.length + backs.length + letters.length
  const hasWork = () => inDoubt || unwritten() > 0 || claimable() > 0

  const turn = async () => {
    for (let attempt = 0; hasWork() && !closed; ) {
      try {
        if (inDoubt) await recover()
        inDoubt = false
        if (letters.length > 0) await sendLetters()
        if (backs.length > 0) await giveBack()
        if (settlements.length > 0 || claimable() > 0) await settleAndClaim()
        if (attempt > 0) log.info('database takes outcomes again')
        attempt = 0
        said = ''
      } catch (err) {
        inDoubt = true
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
   * The answer to a claim may have been lost on its way: what the server thinks is ours and is not goes back. Without a connection to its
   * client the server still ends the statement that it executes, so that is waited for first.
   */
  const recover = async () => {
    await database.transaction(async (client) => {
      await client.query(sql('worker-settled'), [worker.id])
      await client.query(sql('message-forgotten'), [worker.id, [...held.keys()]])
    })
    maybeMore = true
  }

  const settleAndClaim = async () => {
    const batch = nextBatch(settlements)
    const room = claimable()
    // Before the statement, not after it: a wake-up that arrives meanwhile must not be forgotten.
    if (room > 0) maybeMore = false
    const rows = await settle(batch, room)
    settlements = settlements.slice(batch.length)
    if (options.mirror !== undefined)
      void options.mirror.write(batch.flatMap(({ outcome, message }) => (outcome === null ? [] : [{ outcome, message }])))
    if (room > 0 && rows.length >= room) maybeMore = true
    if (rows.length > 0) accept(rows)
  }

  const settle = async (batch: readonly Settlement[], room: number): Promise<MessageRow[]> => {
    const values = settleValues(batch, room)
    try {
      return await database.query<MessageRow & Record<string, unknown>>(sql('message-settle'), values)
    } catch (error) {
      if (!isRefusal(error) || batch.length === 0) throw error
      return settleOneByOne(batch, error as Error)
    }
  }

  /** One outcome that the database refuses must not hold up the others, nor come back for ever. */
  const settleOneByOne = async (batch: readonly Settlement[], cause: Error): Promise<MessageRow[]> => {
    log.warn({ reason: cause.message, outcomes: batch.length }, 'outcomes refused together, storing them one by one')
    for (const settlement of batch) {
      try {
        await database.query(sql('message-settle'), settleValues([settlement], 0))
      } catch (err) {
        if (!isRefusal(err) || settlement.outcome === null) throw err
        log.error(
          { err, id: settlement.outcome.id, task: settlement.outcome.task },
          'outcome refused by the database, recorded as FAILURE without its value',
        )
        await database.query(
          sql('message-settle'),
          settleValues([{ ...settlement, outcome: withoutValue(settlement.outcome, err as Error) }], 0),
        )
      }
    }
    return []
  }

  const settleValues = (batch: readonly Settlement[], room: number): unknown[] => {
    const done: string[] = []
    const outcomes = lastOfEach(batch)
    // Each claim begins with another queue: a full one must not keep the others waiting.
    const first = claims++ % options.queues.length
    const queues = [...options.queues.slice(first), ...options.queues.slice(0, first)]
    for (const { tag } of batch) if (tag !== undefined) done.push(tag)
    const { payload, final } = tellOutcomes(outcomes, options.name)
    const columns = outcomeColumns(outcomes)
    return [done, worker.id, options.name, ...columns, database.channel('result'), payload, final, queues, room]
  }

  const accept = (rows: readonly MessageRow[]) => {
    const deliveries: Held[] = []
    ahead.taken(rows.length)
    for (const row of rows) {
      const delivery: Held = { message: readMessage(row), deliveries: row.deaths + 1, tag: row.id }
      held.set(row.id, delivery)
      if (row.done) {
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

  const finish = (delivery: Delivery, outcome: Outcome | null) => {
    if (!held.delete(delivery.tag as string)) return
    settlements.push({ tag: delivery.tag as string, message: delivery.message, outcome })
    ahead.finished()
    pump()
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

  worker = await registerWorker(database, options, log, wake)
  const floor = setInterval(wake, LOOK_AGAIN_MS)
  pump()
  return {
    finish,
    async begin(delivery) {
      await database.query(sql('message-begin'), [delivery.tag, worker.id])
    },
    started(delivery, outcome) {
      if (!held.has(delivery.tag as string)) return
      settlements.push({ tag: undefined, message: undefined, outcome })
      pump()
    },
    requeue(delivery, { counted }) {
      if (!held.delete(delivery.tag as string)) return
      backs.push({ tag: delivery.tag as string, counted: counted ? 1 : 0 })
      ahead.returned()
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
      if (!inDoubt) await pumping
    },
    flush,
    async close(withinMs) {
      stopped = true
      clearInterval(floor)
      await (withinMs === undefined ? flush() : Promise.race([flush(), sleep(withinMs, closing.signal)]))
      closed = true
      closing.abort()
      if (unwritten() > 0)
        log.error({ finished: settlements.length }, 'outcomes not recorded in time, their tasks are run again by the next worker')
      await worker.leave()
    },
  }
}
function nextBatch(settlements: readonly Settlement[]): readonly Settlement[] {
  let length = 0
  const end = settlements.findIndex(({ outcome }, index) => {
    length += (outcome?.result?.length ?? 0) + (outcome?.traceback?.length ?? 0)
    return index > 0 && (index >= MAX_SETTLE || length > MAX_SETTLE_LENGTH)
  })
  return settlements.slice(0, end === -1 ? undefined : end)
}
