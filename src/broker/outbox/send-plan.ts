import type { TransactionClient } from '../../app/apply-options.ts'
import type { Plan } from '../../app/effects.ts'
import { retry } from '../../concurrency/retry.ts'
import { isSafeToRepeat, isTransient } from '../../concurrency/transient.ts'
import type { Database, Queryable } from '../../database/database.ts'
import { keepInOutbox } from '../../database/outbox.ts'
import { type MessageTarget, writePlans } from '../../database/plans.ts'
import { AppError } from '../../errors.ts'
import { parseCeleryTime } from '../../message/message.ts'
import type { Broker } from '../broker.ts'

/**
 * Retries only if nothing was stored. A plan that may be stored is not sent again, because its chords may have ended by then.
 */
const RETRY = { firstMs: 50, maxMs: 1000, giveUpAfterMs: 5000, isRetryable: isSafeToRepeat }

/**
 * Sends a plan completely or not at all: chords, groups and messages are written in one transaction, and the relay publishes the
 * messages from the outbox. In a transaction of the caller, the plan is sent if and only if this transaction commits. A single
 * message outside a transaction is published directly.
 * @throws AppError BROKER_UNREACHABLE: the plan may be stored nevertheless. Errors of the caller's connection are thrown
 * unchanged
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
  const target: MessageTarget = { channel: database.channel, direct: broker.kind === 'postgres' }
  try {
    await retry(() => database.transaction((client) => writePlans(client, target, [plan])), RETRY)
  } catch (cause) {
    if (!isTransient(cause)) throw cause
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
