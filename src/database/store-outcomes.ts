import type { Outcome } from '../app/outcome.ts'
import type { Database, Queryable } from './database.ts'
import { notificationOf } from './notified-outcomes.ts'
import { outcomeColumns } from './outcome-columns.ts'
import { sql } from './sql.ts'

/** Where outcomes are stored and notified, and the name of the worker that stores them. */
export interface OutcomeTarget {
  readonly channel: Database['channel']
  readonly worker: string
}

/**
 * Stores outcomes and notifies waiting processes. A final outcome that is already stored stays unchanged. `redelivered`: ids of
 * redelivered messages, whose history is deleted.
 */
export async function storeOutcomes(
  client: Queryable,
  { channel, worker }: OutcomeTarget,
  outcomes: readonly Outcome[],
  redelivered: readonly string[] = [],
): Promise<void> {
  if (outcomes.length === 0 && redelivered.length === 0) return
  const { payload, final } = notificationOf(outcomes, worker)
  await client.query(sql('outcome-store'), [worker, ...outcomeColumns(outcomes), channel('result'), payload, final, redelivered])
}
