import { type Lineage, type Planner, unreachableIn } from '../app/canvas/plan.ts'
import type { Plan } from '../app/effects.ts'
import type { Outcome } from '../app/outcome.ts'
import { DEFAULT_QUEUE } from '../message/message.ts'
import type { Signature } from '../message/signature.ts'
import type { Queryable } from './database.ts'
import { lastOfEach } from './outcome-columns.ts'
import { type MessageTarget, writePlans } from './plans.ts'
import { sql } from './sql.ts'
import { type OutcomeTarget, storeOutcomes } from './store-outcomes.ts'

/** Where the effects of outcomes are written, and how bodies and errbacks of chords become messages. */
export interface EffectsTarget extends OutcomeTarget, MessageTarget {
  readonly planner: Planner
}

/** The result of counting the ended members of chords. */
export interface Counted {
  /** The messages of chord bodies and errbacks. The caller writes them. */
  readonly plans: readonly Plan[]
  /** The failures of chord bodies that can no longer run. They are stored already. */
  readonly outcomes: readonly Outcome[]
}

const NOTHING: Plan = { messages: [], chords: [], groups: [] }

interface Chord extends Record<string, unknown> {
  readonly id: string
  readonly remaining: number
  readonly body: string
  readonly root_id: string | null
  readonly last: string
  readonly failed: string | null
  readonly reason: string | null
}

export interface Member extends Record<string, unknown> {
  readonly chord_id: string
  readonly task_id: string
  readonly state: string | null
  readonly result: string | null
}

/**
 * Counts members whose outcomes came from another program, in the transaction that stored the outcomes. Most ids belong to no
 * chord.
 * @returns the failures of chord bodies that were also stored
 */
export async function countCollectedMembers(
  client: Queryable,
  target: EffectsTarget,
  ids: readonly string[],
): Promise<readonly Outcome[]> {
  const { plans, outcomes } = await countMembers(client, target, ids)
  if (plans.length > 0) await writePlans(client, target, plans)
  return outcomes
}

/**
 * Counts ended members: this transaction stored their final outcomes, or they threw Ignore and have none (`ignored`: ids with
 * their errors). Each member counts once, however often this function is called. A chord ends when its last member ended, when a
 * member failed, or when a member threw Ignore. A body that can no longer run may itself be a member of another chord, so the
 * loop counts such bodies too.
 */
export async function countMembers(
  client: Queryable,
  target: EffectsTarget,
  ids: readonly string[],
  ignored: ReadonlyMap<string, string> = new Map(),
): Promise<Counted> {
  const plans: Plan[] = []
  const outcomes: Outcome[] = []
  for (let ended = ids; ended.length > 0; ) {
    const over = (await count(client, ended, ignored)).filter(({ remaining, failed }) => remaining <= 0 || failed !== null)
    if (over.length === 0) break
    const results = await resultsOf(client, over)
    const ends = over.map((chord) => ({ id: chord.id, ...endOf(chord, results.get(chord.id) ?? [], target.planner) }))
    const written = await endChords(client, target, ends)
    plans.push(...written.plans)
    outcomes.push(...written.outcomes)
    ended = written.outcomes.map(({ id }) => id)
  }
  return { plans, outcomes }
}

/** Ends chords that this transaction has locked. Does not count failed bodies that are members of other chords. */
export async function endChords(
  client: Queryable,
  target: OutcomeTarget,
  ends: readonly (End & { readonly id: string })[],
): Promise<Counted> {
  await client.query(sql('chord-end'), [ends.map(({ id }) => id)])
  const outcomes = lastOfEach(ends.flatMap((end) => end.outcomes))
  await storeOutcomes(client, target, outcomes)
  return { plans: ends.map(({ plan }) => plan), outcomes }
}

async function count(client: Queryable, ids: readonly string[], ignored: ReadonlyMap<string, string>): Promise<Chord[]> {
  const locked = await client.query<{ id: string }>(sql('chord-lock'), [ids])
  return locked.length === 0
    ? []
    : client.query<Chord>(sql('chord-count'), [ids, locked.map(({ id }) => id), [...ignored.keys()], [...ignored.values()]])
}

async function resultsOf(client: Queryable, over: readonly Chord[]): Promise<Map<string, Member[]>> {
  const complete = over.filter(({ failed }) => failed === null).map(({ id }) => id)
  if (complete.length === 0) return new Map()
  return Map.groupBy(await client.query<Member>(sql('chord-results'), [complete]), ({ chord_id }) => chord_id)
}

/** How a chord ends: the plan of its body or of its errbacks, and the outcomes of tasks that can no longer run. */
export interface End {
  readonly plan: Plan
  readonly outcomes: readonly Outcome[]
}

export function endOf(chord: Chord, members: readonly Member[], planner: Planner): End {
  const body = JSON.parse(chord.body) as Signature
  const of = { parentId: chord.last, rootId: chord.root_id ?? body.options?.root_id ?? chord.last }
  const bad = members.find(({ state }) => state === 'FAILURE' || state === 'REVOKED')
  const failed = chord.failed ?? bad?.task_id
  const never = (message: string) => failBody(body, message, { of, planner, chordId: chord.id })
  if (failed !== undefined) return never(dependency(failed, chord.reason ?? bad?.result ?? null))
  try {
    return { plan: planner.planSignature(body, [members.map(memberValue)], of), outcomes: [] }
  } catch (error) {
    return never((error as Error).message)
  }
}

const memberValue = ({ state, result }: Member): unknown => (state === 'SUCCESS' && result !== null ? JSON.parse(result) : null)

interface Unrun {
  readonly of: Lineage
  readonly planner: Planner
  readonly chordId: string
}

/**
 * Fails the body of a chord. If the body cannot be read, it gets no outcome. If its errbacks cannot be planned, they are not
 * sent. In both cases the outcome of the member must still be stored.
 */
export function failBody(body: Signature, message: string, { of, planner, chordId }: Unrun): End {
  const result = JSON.stringify({ exc_type: 'ChordError', exc_message: [message], exc_module: 'celery.exceptions' })
  const doneAt = Date.now()
  const queue = body.options?.queue ?? DEFAULT_QUEUE
  const tasks = orElse(() => unreachableIn(body), [])
  const outcomes = tasks.map(({ id, task }): Outcome => {
    return { id, task, state: 'FAILURE', result, traceback: null, queue, retries: 0, startedAt: null, doneAt }
  })
  return { plan: orElse(() => planner.planErrbacks(body, tasks.at(-1)?.id ?? chordId, of), NOTHING), outcomes }
}

function orElse<T>(work: () => T, otherwise: T): T {
  try {
    return work()
  } catch {
    return otherwise
  }
}

/** Returns the message of Celery's ChordError (celery/backends/base.py): `Dependency <id> raised ValueError('no')`. */
function dependency(id: string, result: string | null): string {
  const { exc_type = 'Exception', exc_message = [] } = readException(result)
  const said = (Array.isArray(exc_message) ? exc_message : [exc_message]).map(repr).join(', ')
  return `Dependency ${id} raised ${exc_type}(${said})`
}

function readException(result: string | null): { exc_type?: string; exc_message?: unknown } {
  try {
    return (JSON.parse(result ?? '{}') ?? {}) as { exc_type?: string; exc_message?: unknown }
  } catch {
    return {}
  }
}

/** Returns Python's `repr` of a string, and JSON for any other value. */
function repr(value: unknown): string {
  if (typeof value !== 'string') return JSON.stringify(value)
  const quote = value.includes("'") && !value.includes('"') ? '"' : "'"
  const escaped = value.replaceAll('\\', '\\\\').replaceAll('\n', '\\n').replaceAll('\r', '\\r').replaceAll('\t', '\\t')
  return `${quote}${quote === "'" ? escaped.replaceAll("'", "\\'") : escaped}${quote}`
}
