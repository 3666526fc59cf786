import type { Database } from '../../database/database.ts'
import { sql } from '../../database/sql.ts'
import type { HeldTable } from '../consumer/held.ts'
import type { PostgresHeld } from './claimed.ts'

export interface ReconcileParts {
  readonly workerId: number
  readonly held: HeldTable<PostgresHeld>
  /** Returns the tags of messages that ended or were released, but whose write has not yet succeeded. */
  readonly unwritten: () => readonly string[]
}

/**
 * Makes the server and this worker agree about the held messages, because the answer to a claim may have been lost. If only the
 * server counts a message as held by this worker, the message becomes ready. If this worker holds a message that became ready,
 * it claims the message again. A server that lost its client still finishes the statement that it executes; the lock on the
 * worker's row waits for its end.
 */
export async function reconcileClaims(database: Database, { workerId, held, unwritten }: ReconcileParts): Promise<void> {
  const blamed = held.values().filter((each) => each.blamed)
  await database.transaction(async (client) => {
    const isRegistered = (await client.query(sql('worker-await-claims'), [workerId])).length > 0
    const ours = [...tagsOf(held.values()), ...unwritten()]
    await client.query(sql('message-unclaim'), [workerId, ours])
    // A worker that was declared dead and is not registered again claims nothing: if it died, no worker would requeue the
    // messages.
    if (!isRegistered) return
    const begun = held.values().filter((each) => each.begun)
    await client.query(sql('message-reclaim'), [workerId, ours, tagsOf(blamed), tagsOf(begun)])
  })
  for (const each of blamed) each.blamed = false
}

/**
 * Marks the held messages against which a death was counted because this worker was declared dead. Uses the rule of
 * worker-requeue.sql.
 */
export function blameAll(held: HeldTable<PostgresHeld>): void {
  for (const each of held.values()) each.blamed = each.blamed || each.deliveries === 1 || each.begun
}

const tagsOf = (deliveries: readonly PostgresHeld[]) => deliveries.map(({ tag }) => tag)
