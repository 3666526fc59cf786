import { sleep } from '../../concurrency/sleep.ts'
import { storableIds } from '../../database/columns.ts'
import type { Database } from '../../database/database.ts'
import { sql } from '../../database/sql.ts'

/** A process that is killed loses all its connections at once, but two servers notice it at different moments. */
const LOOK_AGAIN_MS = 300

/** What is known of a message that has come again. */
export interface History {
  /** Attempts up to this one are recorded (`isStored`): they only need their acknowledgement. null: none is. */
  readonly recorded: number | null
  /** Workers that died with it. */
  readonly deaths: number
}

/** Counts deaths for brokers that only say "redelivered" (table `redelivery`). A message that is delivered once costs nothing here. */
export interface Redeliveries {
  /** @param worker number of this worker (`WorkerSession.id`), which is alive */
  look(ids: readonly string[], worker: number): Promise<Map<string, History>>
  /** This worker lives, but lost these messages with its connection; none had a death on its record. */
  lost(ids: readonly string[]): Promise<void>
  /** As `Consumer.begin`: durable when resolved. */
  begin(id: string, worker: number): Promise<void>
  /** To be called before the broker is told to hand the messages out again. */
  handBack(returns: readonly { readonly id: string; readonly counted: boolean }[]): Promise<void>
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
      // Somebody else began it and seems to live: if that is so it lost its connection only, else the lock is free in a moment. A first
      // death is not waited for: after a restart RabbitMQ says "redelivered" of everything that lay in its queues.
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
    async handBack(returns) {
      const noted = returns.filter(({ id }) => storableIds([id]).length > 0)
      const counted = noted.map((each) => (each.counted ? 1 : 0))
      await database.query(sql('redelivery-requeue'), [noted.map(({ id }) => id), counted])
    },
  }
}
