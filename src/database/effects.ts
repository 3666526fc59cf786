import type { Effects, Plan } from '../app/effects.ts'
import { type Outcome, READY_STATES } from '../app/outcome.ts'
import { countMembers, type EffectsTarget } from './chords.ts'
import { columnsOf, storable } from './columns.ts'
import type { Queryable } from './database.ts'
import { keepDeadLetters } from './dead-letters.ts'
import { type PlannedMessage, writeMessages, writePlans } from './plans.ts'
import { sql } from './sql.ts'
import { storeOutcomes } from './store-outcomes.ts'
import { logColumns } from './task-reports.ts'

/** A task that ended, and the effects of its outcome. */
export interface EffectsToWrite {
  readonly id: string
  /** Number of attempts before the one that ended. */
  readonly retries: number
  /** null: no outcome is stored. */
  readonly outcome: Outcome | null
  readonly effects: Effects
}

/**
 * Keeps the items whose outcome this transaction stored. If another transaction stored an outcome first, that transaction wrote
 * its effects.
 */
export async function storedByThisTransaction(client: Queryable, items: readonly EffectsToWrite[]): Promise<EffectsToWrite[]> {
  const ids = items.flatMap(({ outcome }) => (outcome === null ? [] : [outcome.id]))
  if (ids.length === 0) return [...items]
  const stored = new Set((await client.query<{ id: string }>(sql('outcome-stored-here'), [ids])).map(({ id }) => id))
  return items.filter(({ outcome }) => outcome === null || stored.has(outcome.id))
}

/**
 * Writes the effects of outcomes, in the transaction that stored the outcomes (see `storedByThisTransaction`).
 * @returns the outcomes of other tasks that were also stored: the rest of a failed chain, and the bodies of failed chords
 */
export async function writeEffects(
  client: Queryable,
  target: EffectsTarget,
  items: readonly EffectsToWrite[],
): Promise<readonly Outcome[]> {
  if (items.length === 0) return []
  await writeExtras(client, items)
  await writeLogs(client, items)
  await keepDeadLetters(
    client,
    items.flatMap(({ effects }) => effects.deadLetter ?? []),
  )
  await freeUnique(client, items)
  const unreachable = items.flatMap(unreachableOf)
  await storeOutcomes(client, target, unreachable)
  await resetIgnored(client, items)
  const counted = await countMembers(client, target, countedIds(items), ignoredMembers(items))
  const own = items.flatMap(({ effects }): Plan[] => (effects.plan === undefined ? [] : [effects.plan]))
  await writePlans(client, target, [...own, ...counted.plans])
  await writeRetries(client, target, items)
  return [...unreachable, ...counted.outcomes]
}

const isFinal = ({ outcome }: EffectsToWrite) => outcome === null || READY_STATES.has(outcome.state)

/** Returns the outcomes of unreachable tasks. They share the outcome of the task that ended. */
function unreachableOf({ outcome, effects }: EffectsToWrite): Outcome[] {
  if (outcome === null) return []
  return (effects.unreachable ?? []).map(({ id, task }) => ({ ...outcome, id, task, retries: 0, startedAt: null }))
}

function countedIds(items: readonly EffectsToWrite[]): string[] {
  const ids: string[] = []
  for (const item of items) {
    if (!isFinal(item)) continue
    if (item.effects.countsForChord === true) ids.push(item.id)
    for (const { id, countsForChord } of item.effects.unreachable ?? []) if (countsForChord) ids.push(id)
  }
  return ids
}

/** Returns chord members without an outcome, each with the error that it threw. Their chords cannot complete. */
function ignoredMembers(items: readonly EffectsToWrite[]): Map<string, string> {
  const reasons = new Map<string, string>()
  for (const { id, effects } of items) {
    if (effects.ignored === undefined) continue
    for (const member of [id, ...(effects.unreachable ?? []).map((other) => other.id)]) reasons.set(member, effects.ignored)
  }
  return reasons
}

async function resetIgnored(client: Queryable, items: readonly EffectsToWrite[]): Promise<void> {
  const ids = items.flatMap(({ id, effects }) => (effects.ignored === undefined ? [] : [id]))
  if (ids.length > 0) await client.query(sql('result-ignored'), [ids])
}

async function writeExtras(client: Queryable, items: readonly EffectsToWrite[]): Promise<void> {
  const rows: unknown[][] = []
  for (const { outcome, effects } of items) {
    if (outcome === null || effects.extra === undefined) continue
    const { nextAt, ttlSeconds, parentId, rootId, children, progress } = effects.extra
    const childrenJson = children === undefined ? null : JSON.stringify(children)
    rows.push([outcome.id, nextAt?.getTime(), ttlSeconds, parentId, rootId, childrenJson, progress])
  }
  if (rows.length > 0) await client.query(sql('result-extra'), columnsOf(7, rows))
}

async function writeLogs(client: Queryable, items: readonly EffectsToWrite[]): Promise<void> {
  const rows = items.flatMap(({ id, retries, effects }) => (effects.logs ?? []).map((line) => ({ ...line, id, retries })))
  if (rows.length > 0)
    await client.query(
      sql('task-log-add'),
      logColumns(rows).map((column) => column.map(storable)),
    )
}

async function freeUnique(client: Queryable, items: readonly EffectsToWrite[]): Promise<void> {
  const ids = items.flatMap((item) => (item.effects.releasesUnique === true && isFinal(item) ? [item.id] : []))
  if (ids.length > 0) await client.query(sql('unique-free'), [ids])
}

/**
 * Writes retries to the outbox even if they are due, because there the next attempt replaces an earlier one that was not
 * published yet.
 */
async function writeRetries(client: Queryable, target: EffectsTarget, items: readonly EffectsToWrite[]): Promise<void> {
  const due = items.flatMap(({ effects }): PlannedMessage[] => (effects.retry === undefined ? [] : [effects.retry]))
  if (due.length > 0) await writeMessages(client, { ...target, direct: false }, due)
}
