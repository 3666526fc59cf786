import type { Database } from '../../database/database.ts'
import { sql } from '../../database/sql.ts'
import type { Message } from '../../message/message.ts'
import { type MessageRow, toMessage } from '../postgres/claimed.ts'

/** A message that the broker did not confirm. It stays in the outbox. */
export interface Untaken {
  readonly message: Message
  /**
   * Set if the broker refuses the queue of the message: every due message of this queue is put off for this many milliseconds.
   */
  readonly putOffMs?: number | undefined
}

/**
 * `Broker.relayDue` for brokers outside the database: due rows are locked, published, and deleted after the broker has confirmed
 * them. If the process dies after publishing and before deleting, the message is published twice, with the same id, so its
 * outcome is still stored once.
 * @param publish resolves with the messages that were not confirmed
 * @returns `left`: the number of messages that were neither confirmed nor put off
 */
export async function publishDue(
  database: Database,
  limit: number,
  publish: (messages: readonly Message[]) => Promise<readonly Untaken[] | void>,
): Promise<{ moved: number; left: number; nextDueMs: number | null }> {
  const { moved, left } = await database.transaction(async (client) => {
    const rows = await client.query<MessageRow & Record<string, unknown>>(sql('outbox-due'), [limit])
    if (rows.length === 0) return { moved: 0, left: 0 }
    const untaken = (await publish(rows.map(toMessage))) ?? []
    const unconfirmed = new Set(untaken.map(({ message }) => message.headers.id))
    const confirmed = rows.map((row) => row.task_id).filter((id) => !unconfirmed.has(id))
    await client.query(sql('outbox-published'), [confirmed])
    const later = new Map<string, number>()
    for (const { message, putOffMs } of untaken) if (putOffMs !== undefined) later.set(message.queue, putOffMs)
    if (later.size > 0) await client.query(sql('outbox-put-off'), [[...later.keys()], [...later.values()]])
    return { moved: confirmed.length, left: untaken.filter(({ putOffMs }) => putOffMs === undefined).length }
  })
  const [next] = await database.query<{ next_due_ms: number }>(sql('outbox-next'))
  return { moved, left, nextDueMs: next?.next_due_ms ?? null }
}
