import { createPlanner } from '../../app/canvas/plan.ts'
import type { Outcome } from '../../app/outcome.ts'
import { isRefusal } from '../../concurrency/transient.ts'
import type { EffectsTarget } from '../../database/chords.ts'
import type { Database, Queryable } from '../../database/database.ts'
import { lastOfEach } from '../../database/outcome-columns.ts'
import { settleParameters } from '../../database/settle-parameters.ts'
import { sql } from '../../database/sql.ts'
import type { Log } from '../../log.ts'
import type { ConsumeOptions } from '../broker.ts'
import { haveEffects, withoutValueIfRefused, writeBatchEffects } from '../outcomes/effects.ts'
import type { Settlement } from '../outcomes/settlement.ts'
import type { MessageRow } from './claimed.ts'

export interface PostgresSettlement extends Settlement {
  /** The tag of the message to acknowledge. undefined for STARTED, which acknowledges no message. */
  readonly tag: string | undefined
  /** True: the message was acknowledged before it ran, so it is expected to be missing. */
  readonly early: boolean
}

/** Stores outcomes, acknowledges their messages and claims at most `room` more messages, in one commit. */
export type StoreAndClaim = (batch: readonly PostgresSettlement[], room: number) => Promise<StoredBatch>

export interface StoredBatch {
  readonly rows: readonly MessageRow[]
  /** False if the batch was stored without claiming messages. */
  readonly claimed: boolean
  /** Outcomes of other tasks that the same commit has stored. */
  readonly alsoStored: readonly Outcome[]
}

type Row = MessageRow & Record<string, unknown>

export interface StoreAndClaimOptions extends Pick<ConsumeOptions, 'name' | 'queues' | 'planner'> {
  readonly log: Log
  readonly workerId: () => number
}

export function createStoreAndClaim(database: Database, options: StoreAndClaimOptions): StoreAndClaim {
  const { name, queues, log, planner = createPlanner(), workerId } = options
  const target: EffectsTarget = { channel: database.channel, worker: name, direct: true, planner }
  let claims = 0

  /** HOT: one statement unless the batch has effects. */
  const write = async (batch: readonly PostgresSettlement[], room: number): Promise<Omit<StoredBatch, 'claimed'>> => {
    const chosen = lastOfEach(batch.map(({ outcome }) => outcome))
    const done: string[] = []
    for (const { tag } of batch) if (tag !== undefined) done.push(tag)
    // Each claim begins with another queue, so that a full queue does not delay the others.
    const first = claims++ % queues.length
    const order = [...queues.slice(first), ...queues.slice(0, first)]
    const values = settleParameters({
      acknowledged: done,
      worker: { id: workerId(), name },
      outcomes: chosen,
      resultChannel: database.channel('result'),
      queues: order,
      limit: room,
    })
    if (!haveEffects(batch)) return { rows: await database.query<Row>(sql('message-settle'), values), alsoStored: [] }
    return database.transaction(async (client) => {
      const ours = await stillOurs(client, batch)
      const rows = await client.query<Row>(sql('message-settle'), values)
      return { rows, alsoStored: await writeBatchEffects(client, target, { batch: ours, chosen }) }
    })
  }

  return async (batch, room) => {
    try {
      return { ...(await write(batch, room)), claimed: true }
    } catch (error) {
      if (!isRefusal(error) || batch.length === 0) throw error
      log.warn({ reason: (error as Error).message, outcomes: batch.length }, 'outcomes refused together, storing them one by one')
      const alsoStored: Outcome[] = []
      for (const settlement of batch) {
        const written = await withoutValueIfRefused(settlement, (each) => write([each], 0), log)
        alsoStored.push(...written.alsoStored)
      }
      return { rows: [], claimed: false, alsoStored }
    }
  }
}

/**
 * Returns the settlements whose effects this transaction may write. If a settlement stores no outcome, only its message shows
 * which worker was first: if another transaction has deleted the message, that transaction won.
 */
async function stillOurs(client: Queryable, batch: readonly PostgresSettlement[]): Promise<readonly PostgresSettlement[]> {
  const unstored = batch.filter(({ outcome, effects, early }) => outcome === null && effects !== undefined && !early)
  if (unstored.length === 0) return batch
  const rows = await client.query<{ id: string }>(sql('message-unacknowledged'), [unstored.map(({ tag }) => tag)])
  const there = new Set(rows.map(({ id }) => id))
  const gone = new Set(unstored.filter(({ tag }) => !there.has(tag ?? '')))
  return gone.size === 0 ? batch : batch.filter((settlement) => !gone.has(settlement))
}
