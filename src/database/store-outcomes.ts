import type { Outcome } from '../app/outcome.ts'
import type { Database, Queryable } from './database.ts'
import { notificationOf } from './notified-outcomes.ts'
import { outcomeColumns } from './outcome-columns.ts'
import { sql } from './sql.ts'

/** Under whose name outcomes are stored, and where they are told. */
export interface OutcomeTarget {
  readonly channel: Database['channel']
  /** Name of the worker. */
  readonly worker: string
}

/**
 * Stores outcomes and tells who waits. A final one that is stored already stays as it is. `again`: ids of messages that had been
 * redelivered, whose history ends.
 */
export async function storeOutcomes(
  client: Queryable,
  { channel, worker }: OutcomeTarget,
  outcomes: readonly Outcome[],
  again: readonly string[] = [],
): Promise<void> {
  if (outcomes.length === 0 && again.length === 0) return
  const { payload, final } = notificationOf(outcomes, worker)
  await client.query(sql('outcome-store'), [worker, ...outcomeColumns(outcomes), channel('result'), payload, final, again])
}
