import type { Database } from '../database/database.ts'
import { sql } from '../database/sql.ts'
import type { Message } from '../message/message.ts'
import { type MessageRow, toMessage } from './postgres-row.ts'

/**
 * `Broker.relayDue` for brokers outside of the database: due rows are locked, published, and deleted when the broker has confirmed them.
 * A crash between the two publishes a message twice, under the same id, so that it is recorded once.
 * @param publish resolves with those that were not confirmed (nothing: all were); they stay in the outbox, `left` in number
 */
export async function publishDue(
  database: Database,
  limit: number,
  publish: (messages: readonly Message[]) => Promise<readonly Message[] | void>,
): Promise<{ moved: number; left: number; nextDueMs: number | null }> {
  const { moved, left } = await database.transaction(async (client) => {
    const rows = await client.query<MessageRow & Record<string, unknown>>(sql('outbox-due'), [limit])
    if (rows.length === 0) return { moved: 0, left: 0 }
    const unconfirmed = new Set(((await publish(rows.map(toMessage))) ?? []).map(({ headers }) => headers.id))
    const confirmed = rows.map((row) => row.task_id).filter((id) => !unconfirmed.has(id))
    await client.query(sql('outbox-published'), [confirmed])
    return { moved: confirmed.length, left: unconfirmed.size }
  })
  const [next] = await database.query<{ next_due_ms: number }>(sql('outbox-next'))
  return { moved, left, nextDueMs: next?.next_due_ms ?? null }
}
