import { abandonedBy } from '../app/canvas/plan.ts'
import { decodeBody } from '../message/message.ts'
import type { Database } from './database.ts'
import { sql } from './sql.ts'

/** A message that was kept aside: it ended its workers, nobody knows its task, or it cannot be read. */
export interface DeadLetter {
  /** Number of the row, as a text. */
  readonly id: string
  readonly queue: string
  readonly reason: string
  /** Empty or null: the message had none, and can only be dropped. */
  readonly taskId: string | null
  readonly task: string | null
  readonly priority: number
  /** JSON text of what is not default, or null. */
  readonly headers: string | null
  /** The first 2,000 characters. */
  readonly body: string | null
  readonly diedAt: Date
}

export interface DeadLetters {
  /** The newest first. @param before only those before this number */
  list(limit: number, before?: string): Promise<DeadLetter[]>
  /** They run again, under their ids, as if for the first time, and the rest of their chains after them. @returns the ids of the tasks; those without an id stay */
  requeue(which: readonly string[] | 'all'): Promise<string[]>
  /** @returns how many */
  drop(which: readonly string[] | 'all'): Promise<number>
}

interface Row extends Record<string, unknown> {
  readonly id: string
  readonly queue: string
  readonly reason: string
  readonly task_id: string | null
  readonly task: string | null
  readonly priority: number
  readonly headers: string | null
  readonly body: string | null
  readonly died_at: Date
}

export function createDeadLetters(database: Database): DeadLetters {
  const chosen = (which: readonly string[] | 'all') => (which === 'all' ? null : which)
  return {
    async list(limit, before) {
      const rows = await database.query<Row>(sql('dead-letters-list'), [limit, before ?? null])
      return rows.map(({ task_id, died_at, ...row }) => ({ ...row, taskId: task_id, diedAt: died_at }))
    },
    requeue: (which) =>
      database.transaction(async (client) => {
        const [row] = await client.query<{ ids: string[] | null; bodies: string[] | null }>(sql('dead-letters-requeue'), [
          chosen(which),
          database.channel('outbox'),
        ])
        const rest = (row?.bodies ?? []).flatMap(restOfChain)
        if (rest.length > 0) await client.query(sql('result-anew'), [rest])
        return row?.ids ?? []
      }),
    async drop(which) {
      const [row] = await database.query<{ dropped: number }>(sql('dead-letters-drop'), [chosen(which)])
      return row?.dropped ?? 0
    },
  }
}

/** The tasks that were recorded with it, because they were never to run. What nobody can read has none. */
function restOfChain(body: string): string[] {
  try {
    const { chain } = decodeBody(body).embed
    return Array.isArray(chain) ? chain.flatMap((step) => abandonedBy(step).map(({ id }) => id)) : []
  } catch {
    return []
  }
}
