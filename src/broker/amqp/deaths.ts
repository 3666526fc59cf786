import { sleep } from '../../concurrency/sleep.ts'
import { storableIds } from '../../database/columns.ts'
import type { Database } from '../../database/database.ts'
import { sql } from '../../database/sql.ts'

/**
 * Wait before the second query about a worker that still holds its lock: RabbitMQ may notice a killed process before PostgreSQL
 * does. Milliseconds.
 */
const LOOK_AGAIN_MS = 300

/** The history of a redelivered message. */
export interface History {
  /** The last attempt whose outcome is stored, for `isStored`. null: no outcome is stored. */
  readonly recorded: number | null
  /** The number of workers that died while they held the message. */
  readonly deaths: number
}

/**
 * Counts deaths of workers in table `redelivery`, for brokers that report only whether a message was redelivered. A message that
 * is delivered once causes no query.
 */
export interface Redeliveries {
  /** Reads the history of redelivered messages. @param worker number of this worker (`WorkerSession.id`) */
  look(ids: readonly string[], worker: number): Promise<Map<string, History>>
  /**
   * Notes that this worker lost these messages with its connection but is alive, so their redelivery does not count as a death.
   */
  lost(ids: readonly string[]): Promise<void>
  /** Does what `Consumer.begin` promises. Durable when resolved. */
  begin(id: string, worker: number): Promise<void>
  /** Notes that messages are about to be requeued. `counted`: the requeue counts as a death. */
  noteRequeue(requeued: readonly { readonly id: string; readonly counted: boolean }[]): Promise<void>
}

interface Row extends Record<string, unknown> {
  readonly id: string
  readonly recorded: number | null
  readonly deaths: number
  readonly worker: number | null
}

export function createRedeliveries(database: Database): Redeliveries {
  const key = `${database.schema}.worker`
  const ask = (ids: readonly string[]) => database.query<Row>(sql('redelivery-count'), [ids, key])
  return {
    async look(ids, worker) {
      const known = new Map<string, History>()
      const rows = await ask(storableIds(ids))
      for (const row of rows) known.set(row.id, row)
      // These messages were begun by another worker, which still holds its lock. It may have lost only its connection to
      // RabbitMQ, or it is dead and its lock is released in a moment, so they are looked up again. There is no such wait for a
      // first death, because a restarted RabbitMQ reports every message in its queues as redelivered.
      const doubtful = rows.filter((row) => row.worker !== null && row.worker !== worker).map(({ id }) => id)
      if (doubtful.length > 0 && (await sleep(LOOK_AGAIN_MS))) for (const row of await ask(doubtful)) known.set(row.id, row)
      return known
    },
    async lost(ids) {
      await database.query(sql('redelivery-lost'), [storableIds(ids)])
    },
    async begin(id, worker) {
      await database.query(sql('redelivery-begin'), [id, worker])
    },
    async noteRequeue(requeued) {
      const noted = requeued.filter(({ id }) => storableIds([id]).length > 0)
      const counted = noted.map((each) => (each.counted ? 1 : 0))
      await database.query(sql('redelivery-requeue'), [noted.map(({ id }) => id), counted])
    },
  }
}
