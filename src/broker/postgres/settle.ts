import { createPlanner } from '../../app/canvas/plan.ts'
import type { Outcome } from '../../app/outcome.ts'
import { isRefusal } from '../../concurrency/transient.ts'
import type { ChordPlace } from '../../database/chords.ts'
import type { Database, Queryable } from '../../database/database.ts'
import { lastOfEach, outcomeColumns } from '../../database/outcome-columns.ts'
import { sql } from '../../database/sql.ts'
import { tellOutcomes } from '../../database/told-outcomes.ts'
import type { Log } from '../../log.ts'
import type { Message } from '../../message/message.ts'
import type { ConsumeOptions, Recorded } from '../broker.ts'
import { type Settled, somethingFollows, withLessIfRefused, writeFollowing } from '../outcomes/sequel.ts'
import type { MessageRow } from './row.ts'

export interface Settlement extends Settled {
  /** undefined: it only began. */
  readonly message: Message | undefined
  /** undefined: it only began. */
  readonly tag: string | undefined
  /** Acknowledged before it ran: its message is gone, and that is as it should be. */
  readonly early: boolean
}

/** Stores outcomes, acknowledges their messages and claims the next ones, in one commit. */
export interface Settler {
  settle(batch: readonly Settlement[], room: number): Promise<SettledBatch>
}

export interface SettledBatch {
  readonly rows: readonly MessageRow[]
  /** False when the claim had to be left out. */
  readonly claimed: boolean
  /** Outcomes of other tasks that were stored besides. */
  readonly besides: readonly Outcome[]
}

/** What a mirror is told of a batch that is stored. */
export const recordedOf = (batch: readonly Settlement[]): Recorded[] =>
  batch.flatMap(({ outcome, message }) => (outcome === null ? [] : [{ outcome, message }]))

type Row = MessageRow & Record<string, unknown>

export function createSettler(
  database: Database,
  options: Pick<ConsumeOptions, 'name' | 'queues' | 'planner'> & {
    readonly log: Log
    readonly workerId: () => number
  },
): Settler {
  const { name, queues, log, planner = createPlanner(), workerId } = options
  const place: ChordPlace = { channel: database.channel, worker: name, direct: true, planner }
  let claims = 0

  /** HOT: where nothing follows it is one statement. */
  const write = async (batch: readonly Settlement[], room: number): Promise<Omit<SettledBatch, 'claimed'>> => {
    const chosen = lastOfEach(batch.map(({ outcome }) => outcome))
    const done: string[] = []
    for (const { tag } of batch) if (tag !== undefined) done.push(tag)
    // Each claim begins with another queue: a full one must not keep the others waiting.
    const first = claims++ % queues.length
    const order = [...queues.slice(first), ...queues.slice(0, first)]
    const { payload, final } = tellOutcomes(chosen, name)
    const columns = outcomeColumns(chosen)
    const values = [done, workerId(), name, ...columns, database.channel('result'), payload, final, order, room]
    if (!somethingFollows(batch)) return { rows: await database.query<Row>(sql('message-settle'), values), besides: [] }
    return database.transaction(async (client) => {
      const ours = await stillOurs(client, batch)
      const rows = await client.query<Row>(sql('message-settle'), values)
      return { rows, besides: await writeFollowing(client, place, { batch: ours, chosen }) }
    })
  }

  return {
    async settle(batch, room) {
      try {
        return { ...(await write(batch, room)), claimed: true }
      } catch (error) {
        if (!isRefusal(error) || batch.length === 0) throw error
        log.warn(
          { reason: (error as Error).message, outcomes: batch.length },
          'outcomes refused together, storing them one by one',
        )
        const besides: Outcome[] = []
        for (const settlement of batch) {
          const written = await withLessIfRefused(settlement, (less) => write([less], 0), log)
          besides.push(...written.besides)
        }
        return { rows: [], claimed: false, besides }
      }
    },
  }
}

/** Of an outcome that is not stored nothing tells who was first, but the message itself: who finds it gone is second. */
async function stillOurs(client: Queryable, batch: readonly Settlement[]): Promise<readonly Settlement[]> {
  const unsaid = batch.filter(({ outcome, follows, early }) => outcome === null && follows !== undefined && !early)
  if (unsaid.length === 0) return batch
  const rows = await client.query<{ id: string }>(sql('message-still-there'), [unsaid.map(({ tag }) => tag)])
  const there = new Set(rows.map(({ id }) => id))
  const gone = new Set(unsaid.filter(({ tag }) => !there.has(tag ?? '')))
  return gone.size === 0 ? batch : batch.filter((settlement) => !gone.has(settlement))
}
