import type { TransactionClient } from '../app/task.ts'
import type { Message } from '../message/message.ts'
import { sparseJson } from '../message/sparse-json.ts'
import type { Database } from './database.ts'
import { sql } from './sql.ts'

/** Keeps a message until `dueAt`; inside the caller's transaction when one is given, so that it exists when and only when that commits. */
export async function keepInOutbox(
  database: Database,
  message: Message,
  dueAt: Date,
  transaction?: TransactionClient,
): Promise<void> {
  const { id, task, ...headers } = message.headers
  const { queue, priority, properties, body } = message
  const values = [
    id,
    queue,
    priority,
    task,
    sparseJson(headers),
    sparseJson(properties),
    body,
    dueAt.toISOString(),
    database.channel('outbox'),
  ]
  const statement = sql('outbox-keep')
  if (transaction === undefined) await database.query(statement, values)
  // The caller's connection has its own search path, so the table is named with its schema there.
  else await transaction.query(statement.text.replace('INTO outbox', `INTO "${database.schema}".outbox`), values)
}
