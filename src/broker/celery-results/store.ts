import { createPlanner } from '../../app/canvas/plan.ts'
import { type Outcome, READY_STATES } from '../../app/outcome.ts'
import { createPump } from '../../concurrency/pump.ts'
import { isConnectionError, isRefusal } from '../../concurrency/transient.ts'
import { countCollectedMembers } from '../../database/chords.ts'
import type { Database, Queryable } from '../../database/database.ts'
import { notificationOf } from '../../database/notified-outcomes.ts'
import { sql } from '../../database/sql.ts'
import type { Log } from '../../log.ts'
import type { ForeignOutcome } from './document.ts'

const BACKOFF = { firstMs: 100, maxMs: 5000 }
/**
 * Most outcomes in one statement. Limits the size of the statement, and the number of outcomes to repeat if the database refuses
 * one.
 */
const MAX_BATCH = 500

/** Plans bodies of chords from their signatures alone, without the options of registered tasks. */
const planner = createPlanner()

/**
 * Stores outcomes of other applications with outcome-collect.sql, and notifies waiting clients. Every outcome from another
 * application passes through this function. Each id may occur only once in a call. Members of onedyno's chords are counted in
 * the same commit. Rejects if the database is away or refuses an outcome.
 * @returns outcomes that the same commit stored for bodies of chords that can no longer run
 */
export async function storeForeignOutcomes(database: Database, outcomes: readonly ForeignOutcome[]): Promise<readonly Outcome[]> {
  const ended = outcomes.filter(isFinal).map(({ id }) => id)
  if (ended.length === 0) {
    await write(database, database, outcomes)
    return []
  }
  // Messages go through the outbox with every broker, because this process may have no publisher.
  const target = { channel: database.channel, worker: '', direct: false, planner }
  return database.transaction(async (client) => {
    await write(client, database, outcomes)
    return countCollectedMembers(client, target, ended)
  })
}

async function write(client: Queryable, database: Database, outcomes: readonly ForeignOutcome[]): Promise<void> {
  const columns: unknown[][] = [[], [], [], [], [], [], [], [], []]
  for (const { id, task, state, result, traceback, queue, worker, startedAt, doneAt } of outcomes) {
    const row = [id, task, state, result, traceback, queue, worker, startedAt, doneAt]
    for (const [index, value] of row.entries()) columns[index]?.push(value)
  }
  const { payload, final } = notificationOf(outcomes.map(tellable), null)
  await client.query(sql('outcome-collect'), [...columns, database.channel('result'), payload, final])
}

const tellable = ({ task, queue, worker: _worker, ...outcome }: ForeignOutcome): Outcome => ({
  ...outcome,
  task: task ?? '(unknown)',
  queue: queue ?? '',
  retries: 0,
})

/**
 * Merges the outcomes of each id into one, because one INSERT cannot write a row twice. Earlier outcomes add the start and the
 * worker, which the final outcome may lack.
 */
function mergeEach(batch: readonly { readonly outcome: ForeignOutcome }[]): ForeignOutcome[] {
  const merged = new Map<string, ForeignOutcome>()
  for (const { outcome } of batch) {
    const before = merged.get(outcome.id)
    if (before !== undefined && isFinal(before)) continue
    const startedAt = outcome.startedAt ?? before?.startedAt ?? null
    merged.set(outcome.id, { ...outcome, startedAt, worker: outcome.worker ?? before?.worker ?? null })
  }
  return [...merged.values()]
}

interface Collected<Tag> {
  readonly outcome: ForeignOutcome
  readonly tag: Tag
}

/** Writes outcomes to the database in order. Keeps them in memory while the database is away. */
export interface OutcomeCollector<Tag> {
  add(outcome: ForeignOutcome, tag: Tag): void
  /** Resolves when everything that was added is stored. */
  flush(): Promise<void>
}

/** Creates a collector. Outcomes that arrive during a statement are written by the next statement. `onStored` must not throw. */
export function createOutcomeCollector<Tag>(
  database: Database,
  log: Log,
  onStored: (batch: readonly Collected<Tag>[]) => void,
): OutcomeCollector<Tag> {
  let waiting: Collected<Tag>[] = []

  const storeNext = async () => {
    const batch = waiting.slice(0, MAX_BATCH)
    await store(mergeEach(batch))
    waiting = waiting.slice(batch.length)
    onStored(batch)
  }

  const onFailure = (err: unknown, failures: number) => {
    const fields = { reason: (err as Error).message, results: waiting.length }
    if (failures === 0) log.warn(fields, 'results of other workers cannot be stored now, trying again until they can')
  }

  /**
   * Stores outcomes. If the database refuses a batch, stores them one by one, so that a refused outcome neither blocks the
   * others nor is repeated for ever.
   */
  const store = async (outcomes: readonly ForeignOutcome[]) => {
    try {
      await storeForeignOutcomes(database, outcomes)
    } catch (error) {
      if (isConnectionError(error) || !isRefusal(error)) throw error
      for (const outcome of outcomes) await storeAlone(outcome)
    }
  }

  const storeAlone = (outcome: ForeignOutcome) =>
    storeForeignOutcomes(database, [outcome]).catch((err) => {
      if (isConnectionError(err) || !isRefusal(err)) throw err
      log.error({ err, id: outcome.id }, 'result of another worker refused by the database, left out')
    })

  const pump = createPump({ hasWork: () => waiting.length > 0, turn: storeNext, onFailure, backoff: BACKOFF })

  return {
    add(outcome, tag) {
      waiting.push({ outcome, tag })
      pump.wake()
    },
    flush: () => pump.idle(),
  }
}

/** Returns true if no further outcome follows for this id. */
export const isFinal = ({ state }: Pick<ForeignOutcome, 'state'>): boolean => READY_STATES.has(state)
