import type { TransactionClient } from '../../app/apply-options.ts'
import type { Plan } from '../../app/effects.ts'
import { retry } from '../../concurrency/retry.ts'
import { isConnectFailure, isConnectionError } from '../../concurrency/transient.ts'
import type { Database, Queryable } from '../../database/database.ts'
import { keepInOutbox } from '../../database/outbox.ts'
import { type MessagePlace, writePlans } from '../../database/plans.ts'
import { AppError } from '../../errors.ts'
import { parseCeleryTime } from '../../message/typed-json.ts'
import type { Broker } from '../broker.ts'

/** Only where no connection was made: a plan that may have been taken is not handed in twice, because its chords may be over by then. */
const RETRY = { firstMs: 50, maxMs: 1000, giveUpAfterMs: 5000, isRetryable: isConnectFailure }

/**
 * Sends a plan, all of it or nothing: chords, groups and messages are written in one transaction, from where the outbox brings the messages
 * to their broker. With a transaction of the caller's it is sent when and only when that commits. One message alone is published.
 * @throws AppError BROKER_UNREACHABLE; then the plan may still have been taken. An error of the caller's connection as it is
 */
export async function sendPlan(
  { database, broker }: { readonly database: Database; readonly broker: Pick<Broker, 'kind' | 'publish'> },
  plan: Plan,
  transaction?: TransactionClient,
): Promise<void> {
  const { messages, chords, groups } = plan
  const [only] = messages
  if (only !== undefined && messages.length === 1 && chords.length === 0 && groups.length === 0) {
    const { eta } = only.headers
    if (eta == null && transaction === undefined) return broker.publish(messages)
    return keepInOutbox(database, only, new Date(eta == null ? 0 : parseCeleryTime(eta)), transaction)
  }
  if (transaction !== undefined)
    return writePlans(callersClient(database, transaction), { channel: database.channel, direct: false }, [plan])
  const place: MessagePlace = { channel: database.channel, direct: broker.kind === 'postgres' }
  try {
    await retry(() => database.transaction((client) => writePlans(client, place, [plan])), RETRY)
  } catch (cause) {
    if (!isConnectionError(cause)) throw cause
    throw new AppError('BROKER_UNREACHABLE', `PostgreSQL did not take the tasks: ${(cause as Error).message}`, { cause })
  }
}

/** Runs statements on the caller's connection. */
const callersClient = (database: Database, transaction: TransactionClient): Queryable => ({
  async query(statement, values = []) {
    await transaction.query(database.qualify(statement).text, [...values])
    return []
  },
})
