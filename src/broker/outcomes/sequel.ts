import type { Effects } from '../../app/effects.ts'
import type { Outcome } from '../../app/outcome.ts'
import { isRefusal } from '../../concurrency/transient.ts'
import type { ChordPlace } from '../../database/chords.ts'
import type { Queryable } from '../../database/database.ts'
import { withoutValue } from '../../database/outcome-columns.ts'
import { type Ended, storedHere, writeSequels } from '../../database/sequels.ts'
import type { Log } from '../../log.ts'
import type { Message } from '../../message/message.ts'

/** What follows from one settled message. */
export interface Follows {
  readonly id: string
  /** Attempts before the one that ended. */
  readonly retries: number
  readonly effects: Effects
}

/** undefined: nothing follows, as with most messages. */
export function followsOf({ headers }: Message, effects: Effects | undefined): Follows | undefined {
  if (effects === undefined) return undefined
  const { id, retries } = headers
  return { id, retries: isCount(retries) ? retries : 0, effects }
}

/** What `finish` was given, as far as this file cares. */
export interface Settled {
  readonly outcome: Outcome | null
  readonly follows?: Follows | undefined
}

/** Nobody may follow: then the statement that stores outcomes needs no transaction around it. HOT. */
export function somethingFollows(batch: readonly Settled[]): boolean {
  for (const { follows } of batch) if (follows !== undefined) return true
  return false
}

/**
 * Writes what follows from a batch, in the transaction that has just stored its outcomes. `chosen`: the outcomes that were handed to the
 * statement; of two with one id only one is.
 * @returns outcomes of other tasks that were stored besides
 */
export async function writeFollowing(
  client: Queryable,
  place: ChordPlace,
  { batch, chosen }: { readonly batch: readonly Settled[]; readonly chosen: readonly Outcome[] },
): Promise<readonly Outcome[]> {
  const handedIn = new Set(chosen)
  const ended = batch.flatMap(({ outcome, follows }): Ended[] =>
    follows === undefined || (outcome !== null && !handedIn.has(outcome)) ? [] : [{ ...follows, outcome }],
  )
  return writeSequels(client, place, await storedHere(client, ended))
}

/**
 * One outcome that the database refuses, or what follows from it, must not hold up the others, nor come back for ever: it is recorded as
 * FAILURE without its value, and nothing is sent. @throws what `write` throws when it is no refusal
 */
export async function withLessIfRefused<S extends Settled, T>(
  settlement: S,
  write: (less: S) => Promise<T>,
  log: Log,
): Promise<T> {
  const { outcome, follows } = settlement
  if (outcome === null && follows === undefined) return write(settlement)
  const id = outcome?.id ?? follows?.id
  try {
    return await write(settlement)
  } catch (err) {
    if (!isRefusal(err)) throw err
    log.error({ err, id, task: outcome?.task }, 'outcome refused by the database, recorded as FAILURE without its value')
    const failed = { ...settlement, outcome: outcome === null ? null : withoutValue(outcome, err as Error) }
    try {
      return await write({ ...failed, follows: withoutPlans(follows) })
    } catch (again) {
      if (!isRefusal(again) || follows === undefined) throw again
      log.error({ err: again, id }, 'what follows from an outcome is refused by the database as well, dropped')
      return write({ ...failed, follows: undefined })
    }
  }
}

/** Nothing is sent, and nobody waits for ever: chords, the rest of a chain, the next task of the same key. */
function withoutPlans(follows: Follows | undefined): Follows | undefined {
  if (follows === undefined) return undefined
  const { countsForChord, unreachable, ignored, releasesUnique } = follows.effects
  return { ...follows, effects: { countsForChord, unreachable, ignored, releasesUnique } }
}

/** Is this attempt, or a later one, recorded already? `recorded`: as sql/queries/redelivery-look.sql tells it. */
export function isRecorded({ headers }: Message, recorded: number | null | undefined): boolean {
  return recorded != null && recorded >= (isCount(headers.retries) ? headers.retries : 0)
}

const isCount = (value: unknown): value is number =>
  Number.isInteger(value) && (value as number) >= 0 && (value as number) < 2 ** 31
