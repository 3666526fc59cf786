import type { Outcome } from '../app/outcome.ts'
import type { Database, Queryable } from './database.ts'
import { outcomeColumns } from './outcome-columns.ts'
import { sql } from './sql.ts'
import { tellOutcomes } from './told-outcomes.ts'

/** Under whose name outcomes are stored, and where they are told. */
export interface OutcomePlace {
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
  { channel, worker }: OutcomePlace,
  outcomes: readonly Outcome[],
  again: readonly string[] = [],
): Promise<void> {
  if (outcomes.length === 0 && again.length === 0) return
  const { payload, final } = tellOutcomes(outcomes, worker)
  await client.query(sql('outcome-store'), [worker, ...outcomeColumns(outcomes), channel('result'), payload, final, again])
}
