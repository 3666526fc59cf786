import type { Effects } from '../../app/effects.ts'
import type { Outcome } from '../../app/outcome.ts'
import { isRefusal } from '../../concurrency/transient.ts'
import type { EffectsTarget } from '../../database/chords.ts'
import type { Queryable } from '../../database/database.ts'
import { type EffectsToWrite, storedByThisTransaction, writeEffects } from '../../database/effects.ts'
import { withoutValue } from '../../database/outcome-columns.ts'
import type { Log } from '../../log.ts'
import type { Message } from '../../message/message.ts'
import type { Settlement } from './settlement.ts'

/** Returns false if the batch has no effects: then one statement stores its outcomes, without a transaction. HOT. */
export function haveEffects(batch: readonly Settlement[]): boolean {
  for (const { effects } of batch) if (effects !== undefined) return true
  return false
}

/**
 * Writes the effects of a batch, in the transaction that has just stored its outcomes. `chosen`: the outcomes that the statement
 * received, one for each id.
 * @returns outcomes of other tasks that the transaction stored too
 */
export async function writeBatchEffects(
  client: Queryable,
  target: EffectsTarget,
  { batch, chosen }: { readonly batch: readonly Settlement[]; readonly chosen: readonly Outcome[] },
): Promise<readonly Outcome[]> {
  const passed = new Set(chosen)
  const ended: EffectsToWrite[] = []
  for (const { outcome, message, effects } of batch) {
    if (effects === undefined || message === undefined || (outcome !== null && !passed.has(outcome))) continue
    ended.push({ id: message.headers.id, retries: retriesOf(message), outcome, effects })
  }
  return writeEffects(client, target, await storedByThisTransaction(client, ended))
}

/**
 * Writes one settlement. If the database refuses its outcome or its effects, the outcome is stored as FAILURE without its value,
 * and nothing is sent: a refused settlement must neither delay the others nor be repeated for ever.
 * @throws the error of `write` if it is not a refusal, or if the FAILURE is refused too
 */
export async function withoutValueIfRefused<S extends Settlement, T>(
  settlement: S,
  write: (settlement: S) => Promise<T>,
  log: Log,
): Promise<T> {
  const { outcome, message, effects } = settlement
  if (outcome === null && effects === undefined) return write(settlement)
  const id = outcome?.id ?? message?.headers.id
  try {
    return await write(settlement)
  } catch (err) {
    if (!isRefusal(err)) throw err
    log.error({ err, id, task: outcome?.task }, 'outcome refused by the database, stored as FAILURE without its value')
    const failed = { ...settlement, outcome: outcome === null ? null : withoutValue(outcome, err as Error) }
    try {
      return await write({ ...failed, effects: withoutPlan(effects) })
    } catch (again) {
      if (!isRefusal(again) || effects === undefined) throw again
      log.error({ err: again, id }, 'effects of an outcome refused by the database as well, dropped')
      return write({ ...failed, effects: undefined })
    }
  }
}

/**
 * Removes the messages to send from the effects. Keeps the effects that other tasks wait for: chords, the rest of a chain, the
 * key of a unique task.
 */
function withoutPlan(effects: Effects | undefined): Effects | undefined {
  if (effects === undefined) return undefined
  const { countsForChord, unreachable, ignored, releasesUnique } = effects
  return { countsForChord, unreachable, ignored, releasesUnique }
}

/**
 * Returns true if the outcome of this attempt or of a later attempt is stored. `recorded`: the column of
 * sql/queries/redelivery-count.sql.
 */
export function isStored(message: Message, recorded: number | null | undefined): boolean {
  return recorded != null && recorded >= retriesOf(message)
}

function retriesOf({ headers: { retries } }: Message): number {
  return Number.isInteger(retries) && (retries as number) >= 0 && (retries as number) < 2 ** 31 ? (retries as number) : 0
}
