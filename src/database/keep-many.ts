import type { TransactionClient } from '../app/apply-options.ts'
import type { DueMessage } from '../app/backend.ts'
import type { Message } from '../message/message.ts'
import { sparseJson } from '../message/sparse-json.ts'
import type { Database } from './database.ts'
import { retryBriefly } from './retry-briefly.ts'
import { sql } from './sql.ts'

const NOT_TAKEN = 'did not take the message'

/**
 * Keeps messages in the outbox until they are due, in one statement: all of them or none, inside the caller's transaction when one is given.
 * What is due in so many seconds, or at once, is due by the database's clock, whatever this host's says.
 * @throws AppError BROKER_UNREACHABLE when the database did not take them within 5 seconds; an error of the caller's connection as it is
 */
export async function keepMany(database: Database, kept: readonly DueMessage[], transaction?: TransactionClient): Promise<void> {
  const values = [...columnsOf(kept), database.channel('outbox')]
  const statement = sql('outbox-keep-many')
  if (transaction !== undefined) {
    await transaction.query(database.qualify(statement).text, values)
    return
  }
  await retryBriefly(() => database.query(statement, values), NOT_TAKEN)
}

/**
 * Keeps a message until `dueAt` that a worker has in hand; one with its id that is in the outbox is replaced. What this host's clock calls
 * later the database's is to call later too: the time until then counts, not the moment.
 * @throws AppError BROKER_UNREACHABLE when the database did not take it within 5 seconds
 */
export async function parkInOutbox(database: Database, message: Message, dueAt: Date): Promise<void> {
  const afterSeconds = Math.max(0, dueAt.getTime() - Date.now()) / 1000
  const values = [...rowOf(message), afterSeconds, database.channel('outbox')]
  await retryBriefly(() => database.query(sql('outbox-park'), values), NOT_TAKEN)
}

function rowOf({ headers: { id, task, ...headers }, queue, priority, properties, body }: Message): unknown[] {
  return [id, queue, priority, task, sparseJson(headers), sparseJson(properties), body]
}

function columnsOf(kept: readonly DueMessage[]): unknown[][] {
  const columns: unknown[][] = Array.from({ length: 9 }, () => [])
  for (const { message, due } of kept) {
    const dueMs = due instanceof Date ? due.getTime() : null
    const afterSeconds = due === undefined || due instanceof Date ? 0 : due.afterSeconds
    const row = [...rowOf(message), dueMs, afterSeconds]
    for (const [index, value] of row.entries()) columns[index]!.push(value)
  }
  return columns
}
