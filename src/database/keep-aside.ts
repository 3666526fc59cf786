import type { Message } from '../message/message.ts'
import { sparseJson } from '../message/sparse-json.ts'
import { storable } from './columns.ts'
import type { Queryable } from './database.ts'
import { sql } from './sql.ts'

/** Keeps a message in `dead_letter`, durable when resolved. */
export async function keepAside(client: Queryable, message: Message, reason: string): Promise<void> {
  const { headers, properties, queue, body, priority } = message
  const row = [queue, reason, headers.id, headers.task, priority, sparseJson(headers), sparseJson(properties), body]
  await client.query(
    sql('dead-letter'),
    row.map((value) => [storable(value)]),
  )
}
