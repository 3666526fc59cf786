import type { Outcome } from '../../app/outcome.ts'
import type { StoredOutcome } from '../broker.ts'
import type { Settlement } from './settlement.ts'

/** Returns the outcomes of a stored batch and of other tasks that its commit ended, for the mirror of results. */
export function storedOutcomesOf(batch: readonly Settlement[], alsoStored: readonly Outcome[]): StoredOutcome[] {
  const stored: StoredOutcome[] = []
  for (const { outcome, message } of batch) if (outcome !== null) stored.push({ outcome, message })
  for (const outcome of alsoStored) stored.push({ outcome, message: undefined })
  return stored
}
