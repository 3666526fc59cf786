import { sleep } from '../../concurrency/sleep.ts'
import { storableIds } from '../../database/columns.ts'
import type { Database } from '../../database/database.ts'
import { sql } from '../../database/sql.ts'

/** A killed process loses all its connections at once, but RabbitMQ and PostgreSQL notice at different moments. */
const LOOK_AGAIN_MS = 300

/** The history of a redelivered message. */
export interface History {
  /** The last attempt whose outcome is stored (`isStored`): the message only needs its acknowledgement. null: no attempt. */
  readonly recorded: number | null
  /** How many workers died with the message. */
  readonly deaths: number
}

/** Counts deaths for brokers that only report "redelivered" (table `redelivery`). A message that is delivered once costs nothing here. */
export interface Redeliveries {
  /** @param worker number of this worker (`WorkerSession.id`) */
  look(ids: readonly string[], worker: number): Promise<Map<string, History>>
  /** This worker lost these messages with its connection and is alive. No death was counted for any of them. */
  lost(ids: readonly string[]): Promise<void>
  /** As `Consumer.begin`. Durable when resolved. */
  begin(id: string, worker: number): Promise<void>
  /** Call before the messages are requeued. `counted`: the requeue counts as a death. */
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
      // Another worker began the message and still holds its lock. Either it lost only its connection, or its lock is released in a moment.
      // A first death is not waited for, because a restarted RabbitMQ reports every message in its queues as redelivered.
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
