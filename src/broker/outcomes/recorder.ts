import { createPlanner, type Planner } from '../../app/canvas/plan.ts'
import type { Outcome } from '../../app/outcome.ts'
import { pauseMs } from '../../concurrency/retry.ts'
import { sleep } from '../../concurrency/sleep.ts'
import { isConnectionError, isRefusal } from '../../concurrency/transient.ts'
import type { ChordPlace } from '../../database/chords.ts'
import type { Database } from '../../database/database.ts'
import { keepAside } from '../../database/keep-aside.ts'
import { lastOfEach } from '../../database/outcome-columns.ts'
import { storeOutcomes } from '../../database/store-outcomes.ts'
import type { Log } from '../../log.ts'
import type { Message } from '../../message/message.ts'
import { nextBatch, type Unstored } from './backlog.ts'
import { type Follows, somethingFollows, withLessIfRefused, writeFollowing } from './sequel.ts'

const BACKOFF = { firstMs: 100, maxMs: 5000 }

export interface Settlement {
  /** null: nothing to store (the result is ignored, or another message with this id has been recorded). */
  readonly outcome: Outcome | null
  /** undefined: it only began, or nobody holds one. */
  readonly message?: Message | undefined
  /** Set when the message had come before: its history (`redelivery`) ends with it. */
  readonly redeliveredId?: string | undefined
  /** What is written in the same commit. */
  readonly follows?: Follows | undefined
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
 * `besides`: outcomes of other tasks that were stored with the batch.
 */
export function createRecorder<T extends Settlement>(
  database: Database,
  options: {
    readonly name: string
    readonly log: Log
    readonly planner?: Planner | undefined
    readonly unstored?: Unstored | undefined
    readonly onStored: (settlements: readonly T[], besides: readonly Outcome[]) => void
  },
): Recorder<T> {
  const { name, log, onStored } = options
  const place: ChordPlace = {
    channel: database.channel,
    worker: name,
    direct: false,
    planner: options.planner ?? createPlanner(),
  }
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
      const batch = nextBatch(waiting)
      try {
        const besides = await store(batch)
        attempt = 0
        waiting = waiting.slice(batch.length)
        options.unstored?.stored(batch)
        onStored(batch, besides)
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

  const store = async (batch: readonly T[]): Promise<readonly Outcome[]> => {
    if (batch.every(({ outcome, redeliveredId, follows }) => outcome === null && redeliveredId === undefined && !follows))
      return []
    try {
      return await write(batch)
    } catch (error) {
      if (!isRefusal(error)) throw error
      log.warn({ reason: (error as Error).message, outcomes: batch.length }, 'outcomes refused together, storing them one by one')
      const besides: Outcome[] = []
      for (const settlement of batch) besides.push(...(await storeAlone(settlement)))
      return besides
    }
  }

  const storeAlone = (settlement: Settlement) => withLessIfRefused(settlement, (each) => write([each]), log)

  const write = async (batch: readonly Settlement[]): Promise<readonly Outcome[]> => {
    const outcomes = lastOfEach(outcomesOf(batch))
    const again: string[] = []
    for (const { redeliveredId } of batch) if (redeliveredId !== undefined) again.push(redeliveredId)
    if (!somethingFollows(batch)) {
      await storeOutcomes(database, place, outcomes, again)
      return []
    }
    return database.transaction(async (client) => {
      await storeOutcomes(client, place, outcomes, again)
      return writeFollowing(client, place, { batch, chosen: outcomes })
    })
  }

  return {
    record(settlement) {
      waiting.push(settlement)
      options.unstored?.added(settlement)
      pump()
    },
    deadLetter: (message, reason) => keepAside(database, message, reason),
    async flush() {
      while (pumping !== undefined) await pumping
    },
    get pending() {
      return waiting.length
    },
  }
}

const outcomesOf = (batch: readonly Settlement[]) => batch.map(({ outcome }) => outcome)
