import type { Planner } from '../app/canvas/plan.ts'
import type { Log } from '../log.ts'
import type { Signature } from '../message/signature.ts'
import { countMembers, type EffectsTarget, endChords, failBody } from './chords.ts'
import type { Database } from './database.ts'
import { writePlans } from './plans.ts'
import { sql } from './sql.ts'

interface Forgotten extends Record<string, unknown> {
  readonly id: string
  readonly body: string
  readonly root_id: string | null
  readonly remaining: number
  readonly missing: readonly string[]
}

interface StaleChordOptions {
  /** Nothing was heard of a chord for so long. */
  readonly seconds: number
  /** Chords of one transaction. */
  readonly limit: number
  readonly planner: Planner
  readonly log?: Log | undefined
}

/**
 * Ends chords whose members are lost, such as those of a queue that was purged: whoever waits for the body is told, and so are its errbacks,
 * as if a member had failed. @returns how many
 */
export async function endStaleChords(database: Database, { seconds, limit, planner, log }: StaleChordOptions): Promise<number> {
  const target: EffectsTarget = { channel: database.channel, worker: 'clean-up', direct: false, planner }
  const days = Math.round(seconds / 86_400)
  const given = await database.transaction(async (client) => {
    await client.query(sql('plan-custom'))
    const forgotten = await client.query<Forgotten>(sql('chord-stale'), [seconds, limit])
    if (forgotten.length === 0) return forgotten
    const ends = forgotten.map(({ id, body: text, root_id, remaining, missing }) => {
      const body = JSON.parse(text) as Signature
      const [first = id] = missing
      const of = { parentId: first, rootId: root_id ?? body.options?.root_id ?? first }
      const said = `Dependency ${first} did not end, nothing was heard of the chord for ${days} days (${remaining} members missing)`
      return { id, ...failBody(body, said, { of, planner, chordId: id }) }
    })
    const { plans, outcomes } = await endChords(client, target, ends)
    const counted = await countMembers(
      client,
      target,
      outcomes.map(({ id }) => id),
    )
    await writePlans(client, target, [...plans, ...counted.plans])
    return forgotten
  })
  for (const { id, remaining, missing } of given)
    log?.error(
      { chord: id, missing, remaining, days },
      'chord given up: its members did not end, its body is recorded as FAILURE',
    )
  return given.length
}
