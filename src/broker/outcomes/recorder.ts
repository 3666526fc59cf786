import { createPlanner, type Planner } from '../../app/canvas/plan.ts'
import type { Outcome } from '../../app/outcome.ts'
import { createPump } from '../../concurrency/pump.ts'
import { isRefusal } from '../../concurrency/transient.ts'
import type { EffectsTarget } from '../../database/chords.ts'
import type { Database } from '../../database/database.ts'
import { keepDeadLetters } from '../../database/dead-letters.ts'
import { lastOfEach } from '../../database/outcome-columns.ts'
import { storeOutcomes } from '../../database/store-outcomes.ts'
import type { Log } from '../../log.ts'
import type { Message } from '../../message/message.ts'
import type { ResultMirror } from '../broker.ts'
import { createBackground } from '../consumer/background.ts'
import { createBatchQueue } from '../consumer/batch-queue.ts'
import { createStoreFailures } from '../consumer/store-failures.ts'
import { nextBatch, type OutcomeBacklog } from './backlog.ts'
import { haveEffects, withoutValueIfRefused, writeBatchEffects } from './effects.ts'
import type { Settlement } from './settlement.ts'
import { storedOutcomesOf } from './stored-outcomes.ts'

/** A settlement whose message is acknowledged on another server than PostgreSQL. */
export interface RemoteSettlement extends Settlement {
  /** The task id, if the message was redelivered: its history in table `redelivery` is deleted. */
  readonly redeliveredId?: string | undefined
}

/** Stores outcomes for brokers outside PostgreSQL. A message is acknowledged only after its outcome is stored. */
export interface Recorder<T extends RemoteSettlement> {
  /**
   * Stores an outcome, in the order of the calls. `onStored` receives the settlement after its outcome is stored. While the
   * database is away, settlements are kept without a time limit.
   */
  record(settlement: T): void
  /** Keeps a message as a dead letter. Durable when resolved. */
  deadLetter(message: Message, reason: string): Promise<void>
  /** Resolves when every settlement is stored and passed to `onStored`, including settlements that arrive during the wait. */
  flush(): Promise<void>
  /** The number of settlements that are not stored plus the number of batches that are not mirrored. */
  readonly pending: number
}

export interface RecorderOptions<T extends RemoteSettlement> {
  readonly name: string
  readonly log: Log
  readonly planner?: Planner | undefined
  readonly backlog?: OutcomeBacklog | undefined
  /** Receives the outcomes of a batch before `onStored` does. So a client that waits at the mirror is notified at least once. */
  readonly mirror?: ResultMirror | undefined
  /** Called once for each batch, so that acknowledgements are batched too. Must not throw. `alsoStored`: outcomes of other tasks. */
  readonly onStored: (settlements: readonly T[], alsoStored: readonly Outcome[]) => void
}

export function createRecorder<T extends RemoteSettlement>(database: Database, options: RecorderOptions<T>): Recorder<T> {
  const { name, log, mirror, planner = createPlanner() } = options
  const store = createBatchStore(database, { channel: database.channel, worker: name, direct: false, planner }, log)
  const waiting = createBatchQueue<T>()
  const mirroring = createBackground()
  const failures = createStoreFailures(log)

  const pump = createPump({
    hasWork: () => waiting.size > 0,
    async turn() {
      const batch = nextBatch(waiting.items)
      const alsoStored = await store(batch)
      failures.succeeded()
      waiting.written(batch)
      options.backlog?.stored(batch)
      if (mirror === undefined) options.onStored(batch, alsoStored)
      else mirroring.run(mirrored(batch, alsoStored, mirror))
    },
    onFailure: (error) => failures.failed(error as Error, waiting.size),
  })

  const mirrored = async (batch: readonly T[], alsoStored: readonly Outcome[], to: ResultMirror) => {
    await to.write(storedOutcomesOf(batch, alsoStored))
    options.onStored(batch, alsoStored)
  }

  return {
    record(settlement) {
      waiting.add(settlement)
      options.backlog?.added(settlement)
      pump.wake()
    },
    deadLetter: (message, reason) => keepDeadLetters(database, [{ message, reason }]),
    async flush() {
      await pump.idle()
      await mirroring.idle()
    },
    get pending() {
      return waiting.size + mirroring.size
    },
  }
}

/** Stores a batch with its effects in one commit. If the database refuses a batch, its outcomes are stored one by one. */
function createBatchStore(database: Database, target: EffectsTarget, log: Log) {
  const write = async (batch: readonly RemoteSettlement[]): Promise<readonly Outcome[]> => {
    const outcomes = lastOfEach(batch.map(({ outcome }) => outcome))
    const redelivered: string[] = []
    for (const { redeliveredId } of batch) if (redeliveredId !== undefined) redelivered.push(redeliveredId)
    if (!haveEffects(batch)) {
      await storeOutcomes(database, target, outcomes, redelivered)
      return []
    }
    return database.transaction(async (client) => {
      await storeOutcomes(client, target, outcomes, redelivered)
      return writeBatchEffects(client, target, { batch, chosen: outcomes })
    })
  }

  return async (batch: readonly RemoteSettlement[]): Promise<readonly Outcome[]> => {
    if (batch.every(({ outcome, redeliveredId, effects }) => outcome === null && redeliveredId === undefined && !effects))
      return []
    try {
      return await write(batch)
    } catch (error) {
      if (!isRefusal(error)) throw error
      log.warn({ reason: (error as Error).message, outcomes: batch.length }, 'outcomes refused together, storing them one by one')
      const alsoStored: Outcome[] = []
      for (const settlement of batch) alsoStored.push(...(await withoutValueIfRefused(settlement, (each) => write([each]), log)))
      return alsoStored
    }
  }
}
