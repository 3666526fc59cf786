import type { TransactionClient } from '../app/apply-options.ts'
import { retry } from '../concurrency/retry.ts'
import { isConnectFailure } from '../concurrency/transient.ts'
import { AppError } from '../errors.ts'
import type { Message } from '../message/message.ts'
import { sparseJson } from '../message/sparse-json.ts'
import type { Database } from './database.ts'
import { notTaken } from './not-taken.ts'
import { BRIEF_RETRY } from './retry-briefly.ts'
import { sql } from './sql.ts'

/**
 * Keeps a message until `dueAt`; inside the caller's transaction when one is given, so that it exists when and only when that commits.
 * What is due already is due by the database's clock, not by this host's.
 * @throws AppError BROKER_UNREACHABLE when the database could not be asked within 5 seconds, MESSAGE_UNCONFIRMED when it did not answer,
 * MESSAGE_REFUSED when it cannot store it, TASK_OPTION_INVALID when `dueAt` is no time; an error of the caller's connection as it is
 */
export async function keepInOutbox(
  database: Database,
  message: Message,
  dueAt: Date,
  transaction?: TransactionClient,
): Promise<void> {
  const { id, task, ...headers } = message.headers
  const { queue, priority, properties, body } = message
  if (Number.isNaN(dueAt.getTime()))
    throw new AppError('TASK_OPTION_INVALID', `eta ${JSON.stringify(headers.eta)} of ${task} is not a time`)
  const dueMs = dueAt.getTime() <= Date.now() ? null : dueAt.getTime()
  const columns = [id, queue, priority, task, sparseJson(headers), sparseJson(properties), body, dueMs]
  const values = [...columns, database.channel('outbox')]
  const statement = sql('outbox-keep')
  if (transaction !== undefined) await transaction.query(database.qualify(statement).text, values)
  else await keepWithRetry(() => database.query(statement, values))
}

async function keepWithRetry(keep: () => Promise<unknown>): Promise<void> {
  let broke = false
  const onRetry = (error: unknown) => {
    broke ||= !isConnectFailure(error)
  }
  try {
    await retry(keep, { ...BRIEF_RETRY, onRetry })
  } catch (cause) {
    throw notTaken(cause, broke)
  }
}
