import { unreachableIn } from '../app/canvas/plan.ts'
import { decodeBody, type Message } from '../message/message.ts'
import { columnsOf } from './columns.ts'
import type { Database, Queryable } from './database.ts'
import { sparseJson } from './message-columns.ts'
import { sql } from './sql.ts'

/** A message that is kept because its workers died with it, its task is unknown, or it cannot be read. */
export interface DeadLetter {
  /** Number of the row, as text. */
  readonly id: string
  readonly queue: string
  readonly reason: string
  /** Empty or null if the message had no id. A dead letter without an id can only be deleted. */
  readonly taskId: string | null
  readonly task: string | null
  readonly priority: number
  /** JSON text without default values, or null. */
  readonly headers: string | null
  /** The first 2,000 characters. */
  readonly body: string | null
  readonly diedAt: Date
}

export interface DeadLetters {
  /** Returns dead letters, newest first. @param before returns only dead letters with a lower number */
  list(limit: number, before?: string): Promise<DeadLetter[]>
  /**
   * Requeues dead letters under their ids and resets their counted deaths. The rest of their chains can run again. Dead letters
   * without an id stay.
   * @returns the ids of the tasks
   */
  requeue(which: readonly string[] | 'all'): Promise<string[]>
  /** @returns the number of deleted dead letters */
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

/**
 * Stores messages in `dead_letter`. They are durable when the promise resolves, or, with a `client`, when its transaction
 * commits.
 */
export async function keepDeadLetters(
  client: Queryable,
  letters: readonly { readonly message: Message; readonly reason: string }[],
): Promise<void> {
  if (letters.length === 0) return
  const rows = letters.map(({ message: { headers, properties, queue, body, priority }, reason }) => [
    ...[queue, reason, headers.id, headers.task, priority],
    ...[sparseJson(headers), sparseJson(properties), body],
  ])
  await client.query(sql('dead-letter'), columnsOf(8, rows))
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
        const unreachable = (row?.bodies ?? []).flatMap(unreachableAfter)
        if (unreachable.length > 0) await client.query(sql('result-reset'), [unreachable])
        return row?.ids ?? []
      }),
    async drop(which) {
      const [row] = await database.query<{ dropped: number }>(sql('dead-letters-drop'), [chosen(which)])
      return row?.dropped ?? 0
    },
  }
}

/**
 * Returns the ids of the rest of the chain, whose outcomes were stored when the message became a dead letter. An unreadable body
 * gives none.
 */
function unreachableAfter(body: string): string[] {
  try {
    const { chain } = decodeBody(body).embed
    return Array.isArray(chain) ? chain.flatMap((step) => unreachableIn(step).map(({ id }) => id)) : []
  } catch {
    return []
  }
}
