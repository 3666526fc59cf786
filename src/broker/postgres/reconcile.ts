import type { Database } from '../../database/database.ts'
import { sql } from '../../database/sql.ts'
import type { HeldTable } from '../consumer/held.ts'
import type { PostgresHeld } from './claimed.ts'

export interface ReconcileParts {
  readonly workerId: number
  readonly held: HeldTable<PostgresHeld>
  /** Tags of messages that ended or were released, and whose write has not succeeded. */
  readonly unwritten: () => readonly string[]
}

/**
 * Makes the server and this worker agree about who holds which message, because the answer to a claim may have been lost on its way. Messages
 * that only the server thinks are ours become ready; messages of ours that became ready are taken again. A server that lost its client
 * finishes the statement that it executes, and the lock on the worker's row waits for that.
 */
export async function reconcileClaims(database: Database, { workerId, held, unwritten }: ReconcileParts): Promise<void> {
  const blamed = held.values().filter((each) => each.blamed)
  await database.transaction(async (client) => {
    const isRegistered = (await client.query(sql('worker-await-claims'), [workerId])).length > 0
    const ours = [...tagsOf(held.values()), ...unwritten()]
    await client.query(sql('message-unclaim'), [workerId, ours])
    // A worker that was declared dead and is not registered again takes nothing: after its death no worker would requeue that.
    if (!isRegistered) return
    const begun = held.values().filter((each) => each.begun)
    await client.query(sql('message-reclaim'), [workerId, ours, tagsOf(blamed), tagsOf(begun)])
  })
  for (const each of blamed) each.blamed = false
}

/** Marks the messages that got a death because this worker was declared dead, by the same rule as worker-requeue.sql. */
export function blameAll(held: HeldTable<PostgresHeld>): void {
  for (const each of held.values()) each.blamed = each.blamed || each.deliveries === 1 || each.begun
}

const tagsOf = (deliveries: readonly PostgresHeld[]) => deliveries.map(({ tag }) => tag)
