import type { Database } from '../database/database.ts'
import { sql } from '../database/sql.ts'
import type { Message } from '../message/message.ts'
import { type MessageRow, toMessage } from './postgres-row.ts'

/**
 * `Broker.relayDue` for brokers outside of the database: due rows are locked, published, and deleted when the broker has confirmed them.
 * A crash between the two publishes a message twice, under the same id, so that it is recorded once.
 * @param publish resolves when all are confirmed, without an outbox to fall back on
 */
export async function publishDue(
  database: Database,
  limit: number,
  publish: (messages: readonly Message[]) => Promise<void>,
): Promise<{ moved: number; nextDueMs: number | null }> {
  const moved = await database.transaction(async (client) => {
    const rows = await client.query<MessageRow & Record<string, unknown>>(sql('outbox-due'), [limit])
    if (rows.length === 0) return 0
    await publish(rows.map(toMessage))
    await client.query(sql('outbox-published'), [rows.map((row) => row.task_id)])
    return rows.length
  })
  const [next] = await database.query<{ next_due_ms: number }>(sql('outbox-next'))
  return { moved, nextDueMs: next?.next_due_ms ?? null }
}
