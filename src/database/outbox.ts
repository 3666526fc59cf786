import type { TransactionClient } from '../app/apply-options.ts'
import type { DueMessage } from '../app/backend.ts'
import { retry } from '../concurrency/retry.ts'
import { isAnswerLost } from '../concurrency/transient.ts'
import { AppError } from '../errors.ts'
import type { Message } from '../message/message.ts'
import type { Database } from './database.ts'
import { sparseJson } from './message-columns.ts'
import { publishError } from './publish-error.ts'
import { BRIEF_RETRY, retryBriefly } from './retry-briefly.ts'
import { sql } from './sql.ts'

/**
 * Writes a message to the outbox. With a caller's transaction, the message exists if and only if that transaction commits. A
 * time that is not in the future becomes "now" by the database's clock.
 * @throws AppError BROKER_UNREACHABLE if the database did not take it within 5 seconds, MESSAGE_UNCONFIRMED if an answer was
 * lost, MESSAGE_REFUSED if the database cannot store the message, TASK_OPTION_INVALID if `dueAt` is not a time. Errors of the
 * caller's connection are thrown unchanged
 */
export async function keepInOutbox(
  database: Database,
  message: Message,
  dueAt: Date,
  transaction?: TransactionClient,
): Promise<void> {
  const { eta, task } = message.headers
  if (Number.isNaN(dueAt.getTime()))
    throw new AppError('TASK_OPTION_INVALID', `eta ${JSON.stringify(eta)} of ${task} is not a time`)
  const dueMs = dueAt.getTime() <= Date.now() ? null : dueAt.getTime()
  const values = [...rowOf(message), dueMs, database.channel('outbox')]
  const statement = sql('outbox-keep')
  if (transaction !== undefined) await transaction.query(database.qualify(statement).text, values)
  else await keepWithRetry(() => database.query(statement, values))
}

async function keepWithRetry(keep: () => Promise<unknown>): Promise<void> {
  let answerLost = false
  const onRetry = (error: unknown) => {
    answerLost ||= isAnswerLost(error)
  }
  try {
    await retry(keep, { ...BRIEF_RETRY, onRetry })
  } catch (cause) {
    throw publishError(cause, answerLost)
  }
}

const NOT_TAKEN = 'did not take the message'

/**
 * Writes all messages to the outbox in one statement, or none if it fails. Uses the caller's transaction if one is given. A
 * delay in seconds, and "now", count from the database's clock.
 * @throws AppError BROKER_UNREACHABLE if the database did not take the messages within 5 seconds. Errors of the caller's
 * connection are thrown unchanged
 */
export async function keepManyInOutbox(
  database: Database,
  kept: readonly DueMessage[],
  transaction?: TransactionClient,
): Promise<void> {
  const values = [...columnsOf(kept), database.channel('outbox')]
  const statement = sql('outbox-keep-many')
  if (transaction !== undefined) await transaction.query(database.qualify(statement).text, values)
  else await retryBriefly(() => database.query(statement, values), NOT_TAKEN)
}

/**
 * Writes a message that a worker holds to the outbox until `dueAt`, and replaces a row with the same id. Counts the delay from
 * the database's clock, because the clock of this host may differ.
 * @throws AppError BROKER_UNREACHABLE if the database did not take the message within 5 seconds
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
