import type { Planner } from '../app/canvas/plan.ts'
import type { Log } from '../log.ts'
import type { Signature } from '../message/signature.ts'
import { countMembers, type EffectsTarget, endChords, failBody } from './chords.ts'
import type { Database } from './database.ts'
import { writePlans } from './plans.ts'
import { sql } from './sql.ts'

interface StaleChord extends Record<string, unknown> {
  readonly id: string
  readonly body: string
  readonly root_id: string | null
  readonly remaining: number
  readonly missing: readonly string[]
}

interface StaleChordOptions {
  /** A chord without activity for this many seconds is stale. */
  readonly seconds: number
  /** Maximum number of chords in one transaction. */
  readonly limit: number
  readonly planner: Planner
  readonly log?: Log | undefined
}

/**
 * Ends chords whose members are lost, for example because their queue was purged. The body gets a FAILURE and its errbacks run,
 * as if a member had failed.
 * @returns the number of chords that ended
 */
export async function endStaleChords(database: Database, { seconds, limit, planner, log }: StaleChordOptions): Promise<number> {
  const target: EffectsTarget = { channel: database.channel, worker: 'clean-up', direct: false, planner }
  const days = Math.round(seconds / 86_400)
  const ended = await database.transaction(async (client) => {
    await client.query(sql('plan-custom'))
    const stale = await client.query<StaleChord>(sql('chord-stale'), [seconds, limit])
    if (stale.length === 0) return stale
    const ends = stale.map(({ id, body: text, root_id, remaining, missing }) => {
      const body = JSON.parse(text) as Signature
      const [first = id] = missing
      const of = { parentId: first, rootId: root_id ?? body.options?.root_id ?? first }
      const reason = `Dependency ${first} did not end, the chord had no activity for ${days} days (${remaining} members missing)`
      return { id, ...failBody(body, reason, { of, planner, chordId: id }) }
    })
    const { plans, outcomes } = await endChords(client, target, ends)
    const counted = await countMembers(
      client,
      target,
      outcomes.map(({ id }) => id),
    )
    await writePlans(client, target, [...plans, ...counted.plans])
    return stale
  })
  for (const { id, remaining, missing } of ended)
    log?.error({ chord: id, missing, remaining, days }, 'chord given up: its members did not end, its body is stored as FAILURE')
  return ended.length
}
