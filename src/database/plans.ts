import type { ChordPlan, GroupPlan, Plan } from '../app/effects.ts'
import type { Message } from '../message/message.ts'
import { parseCeleryTime } from '../message/message.ts'
import { columnsOf, storable } from './columns.ts'
import type { Database, Queryable } from './database.ts'
import { messageColumns } from './message-columns.ts'
import { sql } from './sql.ts'

/**
 * Limits of one statement: number of messages, and characters of their bodies. A single message above the limit is sent alone.
 */
const MAX_MESSAGES = 2000
const MAX_LENGTH = 8_000_000

/** Where messages are written. `direct`: true if the broker is this database, so due messages go straight into their queues. */
export interface MessageTarget {
  readonly channel: Database['channel']
  readonly direct: boolean
}

/** A message and the time when it is due; null: due now. */
export interface PlannedMessage {
  readonly message: Message
  readonly dueAt: Date | null
}

/** Writes plans in the transaction of `client`, so that no worker can start a member of a chord before the chord is stored. */
export async function writePlans(client: Queryable, target: MessageTarget, plans: readonly Plan[]): Promise<void> {
  await keepGroups(client, uniqueById(plans.flatMap(({ groups }) => groups)))
  await keepChords(client, uniqueById(plans.flatMap(({ chords }) => chords)))
  await writeMessages(
    client,
    target,
    plans.flatMap(({ messages }) => messages).map((message) => ({ message, dueAt: dueAtOf(message) })),
  )
}

async function keepGroups(client: Queryable, groups: readonly GroupPlan[]): Promise<void> {
  if (groups.length === 0) return
  const members = groups.flatMap(({ id, members }) => members.map((member) => [id, member]))
  await client.query(sql('group-keep'), [groups.map(({ id }) => storable(id)), ...columnsOf(2, members)])
}

async function keepChords(client: Queryable, chords: readonly ChordPlan[]): Promise<void> {
  if (chords.length === 0) return
  const rows = chords.map(({ id, body, rootId }) => [id, JSON.stringify(body), rootId])
  const members = chords.flatMap(({ id, members }) => members.map((member) => [id, member]))
  await client.query(sql('chord-keep'), [...columnsOf(3, rows), ...columnsOf(2, members)])
}

/**
 * Writes messages to their queues or to the outbox. A second message with the same id replaces the first, because an id has only
 * one outcome.
 */
export async function writeMessages(client: Queryable, target: MessageTarget, due: readonly PlannedMessage[]): Promise<void> {
  const byId = new Map<string, PlannedMessage>()
  for (const each of due) byId.set(each.message.headers.id, each)
  const now: Message[] = []
  const later: PlannedMessage[] = []
  for (const each of byId.values())
    if (target.direct && each.dueAt === null) now.push(each.message)
    else later.push(each)
  for (const part of parts(now, (message) => message))
    await client.query(sql('message-publish'), [...storableColumns(part), target.channel('message')])
  for (const part of parts(later, ({ message }) => message)) {
    const columns = storableColumns(part.map(({ message }) => message))
    const dueMs = part.map(({ dueAt }) => dueAt?.getTime() ?? null)
    await client.query(sql('outbox-replace'), [...columns, dueMs, target.channel('outbox')])
  }
}

const storableColumns = (messages: readonly Message[]) => messageColumns(messages).map((column) => column.map(storable))

/** Returns null if the message is due by this host's clock. The database's clock then gives the time. */
function dueAtOf({ headers: { eta } }: Message): Date | null {
  if (typeof eta !== 'string') return null
  const at = parseCeleryTime(eta)
  return at > Date.now() ? new Date(at) : null
}

function uniqueById<T extends { readonly id: string }>(items: readonly T[]): T[] {
  return [...new Map(items.map((item) => [item.id, item])).values()]
}

function* parts<T>(items: readonly T[], messageOf: (item: T) => Message): Generator<T[]> {
  let part: T[] = []
  let length = 0
  for (const item of items) {
    length += messageOf(item).body.length
    if (part.length > 0 && (part.length >= MAX_MESSAGES || length > MAX_LENGTH)) {
      yield part
      part = []
      length = messageOf(item).body.length
    }
    part.push(item)
  }
  if (part.length > 0) yield part
}
