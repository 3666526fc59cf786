import { createPlanner, type Planner } from '../app/canvas/plan.ts'
import type { Log } from '../log.ts'
import type { Database } from './database.ts'
import { sql } from './sql.ts'
import { endStaleChords } from './stale-chords.ts'

/**
 * Rows per statement. A statement of this size takes well under a second, so other transactions do not wait long for its locks.
 */
const BATCH = 10_000
/** Chords per transaction. Their members are deleted in the same transaction. */
const CHORDS = 100

export interface CleanUpOptions {
  /** How errbacks become messages. Default: as their signatures say. */
  readonly planner?: Planner | undefined
  /** Receives an error for each chord that is given up. */
  readonly log?: Log | undefined
}

/** Seconds. Clean-up ends no younger chord, because a member may wait in a queue of another broker, which clean-up cannot see. */
const MIN_AGE_SECONDS = 7 * 24 * 3600

/** Deletes expired rows in bounded statements and ends stale chords. @returns the number of deleted results */
export async function cleanUp(
  database: Database,
  resultTtlSeconds: number,
  { planner = createPlanner(), log }: CleanUpOptions = {},
): Promise<number> {
  const minAge = Math.max(resultTtlSeconds, MIN_AGE_SECONDS)
  const all = async (name: string, seconds: number, limit = BATCH) => {
    for (let total = 0; ; ) {
      const deleted = await database.transaction(async (client) => {
        await client.query(sql('plan-custom'))
        const [row] = await client.query<{ deleted: number }>(sql(name), [seconds, limit])
        return row?.deleted ?? 0
      })
      total += deleted
      if (deleted < limit) return total
    }
  }
  const results = await all('result-clean-up', resultTtlSeconds)
  await all('log-clean-up', resultTtlSeconds)
  await all('group-clean-up', resultTtlSeconds)
  while ((await endStaleChords(database, { seconds: minAge, limit: CHORDS, planner, log })) === CHORDS);
  await all('expired-clean-up', minAge)
  return results
}
