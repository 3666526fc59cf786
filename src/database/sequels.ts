import type { Effects, Plan } from '../app/effects.ts'
import { type Outcome, READY_STATES } from '../app/outcome.ts'
import { sparseJson } from '../message/sparse-json.ts'
import { type ChordPlace, countMembers } from './chords.ts'
import { columnsOf, storable } from './columns.ts'
import type { Queryable } from './database.ts'
import { type Due, writeMessages, writePlans } from './plans.ts'
import { sql } from './sql.ts'
import { storeOutcomes } from './store-outcomes.ts'
import { logColumns } from './task-reports.ts'

/** A message that ended, and what follows from it. */
export interface Ended {
  readonly id: string
  /** Attempts before the one that ended. */
  readonly retries: number
  /** null: nothing is stored of it. */
  readonly outcome: Outcome | null
  readonly effects: Effects
}

/** Which of these outcomes has this transaction stored? For those that came second somebody else has written what follows. */
export async function storedHere(client: Queryable, ended: readonly Ended[]): Promise<Ended[]> {
  const ids = ended.flatMap(({ outcome }) => (outcome === null ? [] : [outcome.id]))
  if (ids.length === 0) return [...ended]
  const stored = new Set((await client.query<{ id: string }>(sql('sequel-stored'), [ids])).map(({ id }) => id))
  return ended.filter(({ outcome }) => outcome === null || stored.has(outcome.id))
}

/**
 * Writes what follows from outcomes, in the transaction that stored them. `ended`: those that this transaction ended (`storedHere`).
 * @returns outcomes of other tasks that were stored besides: of the rest of a failed chain, of the body of a chord that will never run
 */
export async function writeSequels(client: Queryable, place: ChordPlace, ended: readonly Ended[]): Promise<readonly Outcome[]> {
  if (ended.length === 0) return []
  await writeExtras(client, ended)
  await writeLogs(client, ended)
  await writeDeadLetters(client, ended)
  await freeUnique(client, ended)
  const unreachable = ended.flatMap(unreachableOf)
  await storeOutcomes(client, place, unreachable)
  await forgetIgnored(client, ended)
  const counted = await countMembers(client, place, countedIds(ended), ignoredMembers(ended))
  const own = ended.flatMap(({ effects }): Plan[] => (effects.plan === undefined ? [] : [effects.plan]))
  await writePlans(client, place, [...own, ...counted.plans])
  await writeRetries(client, place, ended)
  return [...unreachable, ...counted.outcomes]
}

const isFinal = ({ outcome }: Ended) => outcome === null || READY_STATES.has(outcome.state)

/** They end with this one, and as it did. */
function unreachableOf({ outcome, effects }: Ended): Outcome[] {
  if (outcome === null) return []
  return (effects.unreachable ?? []).map(({ id, task }) => ({ ...outcome, id, task, retries: 0, startedAt: null }))
}

function countedIds(ended: readonly Ended[]): string[] {
  const ids: string[] = []
  for (const each of ended) {
    if (!isFinal(each)) continue
    if (each.effects.countsForChord === true) ids.push(each.id)
    for (const { id, countsForChord } of each.effects.unreachable ?? []) if (countsForChord) ids.push(id)
  }
  return ids
}

/** Members that left no outcome, and why: their chords cannot come to an end. */
function ignoredMembers(ended: readonly Ended[]): Map<string, string> {
  const reasons = new Map<string, string>()
  for (const { id, effects } of ended) {
    if (effects.ignored === undefined) continue
    for (const member of [id, ...(effects.unreachable ?? []).map((other) => other.id)]) reasons.set(member, effects.ignored)
  }
  return reasons
}

async function forgetIgnored(client: Queryable, ended: readonly Ended[]): Promise<void> {
  const ids = ended.flatMap(({ id, effects }) => (effects.ignored === undefined ? [] : [id]))
  if (ids.length > 0) await client.query(sql('result-ignored'), [ids])
}

async function writeExtras(client: Queryable, ended: readonly Ended[]): Promise<void> {
  const rows: unknown[][] = []
  for (const { outcome, effects } of ended) {
    if (outcome === null || effects.extra === undefined) continue
    const { nextAt, ttlSeconds, parentId, rootId, children, progress } = effects.extra
    const listed = children === undefined ? null : JSON.stringify(children)
    rows.push([outcome.id, nextAt?.getTime(), ttlSeconds, parentId, rootId, listed, progress])
  }
  if (rows.length > 0) await client.query(sql('result-extra'), columnsOf(7, rows))
}

async function writeLogs(client: Queryable, ended: readonly Ended[]): Promise<void> {
  const rows = ended.flatMap(({ id, retries, effects }) => (effects.logs ?? []).map((line) => ({ ...line, id, retries })))
  if (rows.length > 0)
    await client.query(
      sql('task-log-add'),
      logColumns(rows).map((column) => column.map(storable)),
    )
}

async function writeDeadLetters(client: Queryable, ended: readonly Ended[]): Promise<void> {
  const rows: unknown[][] = []
  for (const { effects } of ended) {
    if (effects.deadLetter === undefined) continue
    const { message, reason } = effects.deadLetter
    const { headers, properties, queue, body, priority } = message
    rows.push([queue, reason, headers.id, headers.task, priority, sparseJson(headers), sparseJson(properties), body])
  }
  if (rows.length > 0) await client.query(sql('dead-letter'), columnsOf(8, rows))
}

async function freeUnique(client: Queryable, ended: readonly Ended[]): Promise<void> {
  const ids = ended.flatMap((each) => (each.effects.releasesUnique === true && isFinal(each) ? [each.id] : []))
  if (ids.length > 0) await client.query(sql('unique-free'), [ids])
}

/** Into the outbox, also when due: there the next attempt replaces one that was never sent. */
async function writeRetries(client: Queryable, place: ChordPlace, ended: readonly Ended[]): Promise<void> {
  const due = ended.flatMap(({ effects }): Due[] => (effects.retry === undefined ? [] : [effects.retry]))
  if (due.length > 0) await writeMessages(client, { ...place, direct: false }, due)
}
