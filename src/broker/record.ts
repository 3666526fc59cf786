import type { Outcome } from '../app/outcome.ts'
import { type Database, isConnectionError, isRefusal } from '../database/database.ts'
import { sql } from '../database/sql.ts'
import { tellOutcomes } from '../database/told-outcomes.ts'
import type { Log } from '../log.ts'
import type { Message } from '../message/message.ts'
import { sparseJson } from '../message/sparse-json.ts'
import { pauseMs, sleep } from '../retry.ts'
import { lastOfEach, outcomeColumns, withoutValue } from './record-columns.ts'

const BACKOFF = { firstMs: 100, maxMs: 5000 }
/** Outcomes of one statement: bounds its size, and the damage of one that cannot be stored. */
const MAX_BATCH = 2000

export interface Settlement {
  /** null: nothing to store (the result is ignored, or another message with this id has been recorded). */
  readonly outcome: Outcome | null
  /** Set when the message had come before: its history (`redelivery`) ends with it. */
  readonly redeliveredId?: string | undefined
}

/** Stores outcomes for brokers that are not PostgreSQL: acknowledged is only what is stored. */
export interface Recorder<T extends Settlement> {
  /**
   * Stores an outcome; then, and only then, it is one of those that `onStored` is given. In the order of the calls, and for ever: while
   * the database is away everything is kept.
   */
  record(settlement: T): void
  /** Keeps a message aside, durable when resolved. */
  deadLetter(message: Message, reason: string): Promise<void>
  /** Resolves when everything that was handed in so far, and while it waits, is stored. */
  flush(): Promise<void>
  /** Settlements that are not stored yet. */
  readonly pending: number
}

/**
 * Group commit without a timer: what finishes while one statement is under way goes out with the next, so an idle system waits for nothing
 * and a busy one batches by itself. `onStored` is called once per batch, so that acknowledgements are batched alike; it must not throw.
 */
export function createRecorder<T extends Settlement>(
  database: Database,
  options: { readonly name: string; readonly log: Log; readonly onStored: (settlements: readonly T[]) => void },
): Recorder<T> {
  const { name, log, onStored } = options
  let waiting: T[] = []
  let pumping: Promise<void> | undefined

  const pump = () => {
    // After the current turn of the event loop, so that tasks that end together leave together.
    pumping ??= new Promise<void>((resolve) => setImmediate(resolve)).then(drain).finally(() => {
      pumping = undefined
      if (waiting.length > 0) pump()
    })
  }

  const drain = async () => {
    for (let attempt = 0; waiting.length > 0; ) {
      const batch = waiting.slice(0, MAX_BATCH)
      try {
        await store(batch)
        attempt = 0
        waiting = waiting.slice(batch.length)
        onStored(batch)
      } catch (err) {
        if (!isConnectionError(err))
          log.error({ err, finished: waiting.length }, 'database refuses, keeping outcomes and trying again')
        else if (attempt === 0)
          log.warn(
            { reason: (err as Error).message, finished: waiting.length },
            'database away, keeping outcomes until it is back',
          )
        await sleep(pauseMs(attempt++, BACKOFF))
      }
    }
  }

  const store = async (batch: readonly T[]) => {
    if (batch.every(({ outcome, redeliveredId }) => outcome === null && redeliveredId === undefined)) return
    try {
      await write(batch)
    } catch (error) {
      if (!isRefusal(error)) throw error
      log.warn({ reason: (error as Error).message, outcomes: batch.length }, 'outcomes refused together, storing them one by one')
      for (const settlement of batch) await storeAlone(settlement)
    }
  }

  /** One outcome that the database refuses must not hold up the others, nor come back for ever. */
  const storeAlone = async (settlement: Settlement) => {
    const { outcome } = settlement
    try {
      await write([settlement])
    } catch (err) {
      if (!isRefusal(err) || outcome === null) throw err
      log.error(
        { err, id: outcome.id, task: outcome.task },
        'outcome refused by the database, recorded as FAILURE without its value',
      )
      await write([{ ...settlement, outcome: withoutValue(outcome, err as Error) }])
    }
  }

  const write = async (batch: readonly Settlement[]) => {
    const outcomes = lastOfEach(batch)
    const { payload, final } = tellOutcomes(outcomes, name)
    const again = batch.flatMap(({ redeliveredId }) => (redeliveredId === undefined ? [] : [redeliveredId]))
    const values = [name, ...outcomeColumns(outcomes), database.channel('result'), payload, final, again]
    await database.query(sql('outcome-store'), values)
  }

  return {
    record(settlement) {
      waiting.push(settlement)
      pump()
    },
    async deadLetter({ headers, properties, queue, body }, reason) {
      const { id, task } = headers
      const row = [queue, reason, id, task, sparseJson(headers), sparseJson(properties), body]
      await database.query(
        sql('dead-letter'),
        row.map((value) => [typeof value === 'string' ? value.replaceAll('\0', '\uFFFD') : value]),
      )
    },
    async flush() {
      while (pumping !== undefined) await pumping
    },
    get pending() {
      return waiting.length
    },
  }
}
