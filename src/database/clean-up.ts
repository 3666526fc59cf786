import { createPlanner, type Planner } from '../app/canvas/plan.ts'
import type { Log } from '../log.ts'
import type { Database } from './database.ts'
import { sql } from './sql.ts'
import { endStaleChords } from './stale-chords.ts'

/** Rows of one statement: it stays well under a second, and holds up nobody. */
const BATCH = 10_000
/** Their members go with them. */
const CHORDS = 100

export interface CleanUpOptions {
  /** How errbacks become messages. Default: as their signatures say. */
  readonly planner?: Planner | undefined
  /** Is told of chords that were given up. */
  readonly log?: Log | undefined
}

/** What is in a queue of another broker cannot be seen from here: so long nothing is given up that waits there. Seconds. */
const PATIENCE = 7 * 24 * 3600

/** Deletes what is past its time, in bounded statements, and ends chords that nobody will. @returns how many results */
export async function cleanUp(
  database: Database,
  resultTtlSeconds: number,
  { planner = createPlanner(), log }: CleanUpOptions = {},
): Promise<number> {
  const patience = Math.max(resultTtlSeconds, PATIENCE)
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
  while ((await endStaleChords(database, { seconds: patience, limit: CHORDS, planner, log })) === CHORDS);
  await all('expired-clean-up', patience)
  return results
}
