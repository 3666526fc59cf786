import { AppError } from '../../errors.ts'
import type { GroupResult } from '../results/handles.ts'
import { composition } from './freeze.ts'
import {
  type AnySignature,
  createSignature,
  type Fits,
  type HandleOf,
  type MissingOf,
  type ResultOf,
  senderOf,
  type TaskSignature,
} from './signature.ts'

type Signatures = readonly AnySignature[]

/**
 * Checks that every step accepts the result of the step before it. A step that does not accept it is replaced by the type that
 * the step should have, which makes the compiler report it.
 */
type Linked<Steps extends Signatures> = number extends Steps['length'] ? LinkedList<Steps> : LinkedTuple<Steps>
type LinkedTuple<Steps extends Signatures> = {
  [Index in keyof Steps]: Index extends keyof Before<Steps> ? After<Before<Steps>[Index], Steps[Index]> : Steps[Index]
}
/** The steps shifted by one index: each index holds the step before it. */
type Before<Steps extends Signatures> = [undefined, ...Steps]
/** In a list of unknown length, every step must accept the result of every step. */
type LinkedList<Steps extends Signatures> = Steps extends readonly [unknown, ...unknown[]]
  ? Steps
  : { [Index in keyof Steps]: Fits<ResultOf<Steps[number]>, Steps[Index]> }
type After<Previous, Step extends AnySignature> = Previous extends AnySignature ? Fits<ResultOf<Previous>, Step> : Step

type Last<Steps extends Signatures> = Steps extends readonly [...unknown[], infer End extends AnySignature] ? End : Steps[number]

/** A chain. Its missing arguments are the missing arguments of its first step; its result is the result of its last step. */
export type ChainSignature<Steps extends Signatures> = TaskSignature<
  MissingOf<Steps[0] extends AnySignature ? Steps[0] : AnySignature>,
  ResultOf<Last<Steps>>,
  HandleOf<Last<Steps>>
>

/** The results of the members, in order. A member that is a group contributes the results of its own members. */
export type GroupResults<Members extends Signatures> = number extends Members['length']
  ? ResultsOf<Members[number]>
  : Members extends readonly [infer First extends AnySignature, ...infer Rest extends Signatures]
    ? [...ResultsOf<First, true>, ...GroupResults<Rest>]
    : []
type ResultsOf<Member extends AnySignature, Single extends boolean = false> =
  HandleOf<Member> extends GroupResult<infer Results> ? Results : Single extends true ? [ResultOf<Member>] : ResultOf<Member>[]

/** The missing arguments of all members together, because every member receives the same arguments. */
type MissingOfAll<Members extends Signatures> = Intersection<
  Members[number] extends infer Member ? (Member extends AnySignature ? { missing: MissingOf<Member> } : never) : never
>
type Intersection<Boxes> = (Boxes extends { missing: infer Missing } ? (given: Missing) => void : never) extends (
  given: infer Both,
) => void
  ? Both extends unknown[]
    ? Both
    : unknown[]
  : never

/** A group: its members run in parallel. */
export type GroupSignature<Members extends Signatures> = TaskSignature<
  MissingOfAll<Members>,
  GroupResults<Members>,
  GroupResult<GroupResults<Members>>
>

/**
 * Creates a chain: its signatures run one after the other. Each signature receives the result of the one before it, unless it is
 * immutable (`task.si`). A step after a group receives the list of the group's results.
 * @throws AppError SIGNATURE_INVALID without a step
 */
export function chain<const Steps extends Signatures>(...steps: Steps & Linked<Steps>): ChainSignature<Steps> {
  if (steps.length === 0) throw new AppError('SIGNATURE_INVALID', 'the chain has no steps: a chain needs at least one step')
  return createSignature(composition('chain', { tasks: wire(steps) }), senderOf(steps))
}

/**
 * Creates a group: its signatures run in parallel. Its result is the list of their results, in order. A group inside a group is
 * flattened.
 */
export function group<const Members extends Signatures>(members: readonly [...Members]): GroupSignature<Members> {
  return createSignature(composition('group', { tasks: wire(members) }), senderOf(members))
}

/**
 * Creates a chord: `body` runs after all signatures of `header` have succeeded, and receives the list of their results. If one
 * of them fails, the body fails at once with `ChordError`, and the body's errbacks are sent.
 */
export function chord<const Header extends Signatures, Body extends AnySignature>(
  header: readonly [...Header],
  body: Fits<GroupResults<Header>, Body>,
): TaskSignature<MissingOfAll<Header>, ResultOf<Body>, HandleOf<Body>>
export function chord<MissingArgs extends unknown[], Results extends unknown[], Body extends AnySignature>(
  header: TaskSignature<MissingArgs, Results, GroupResult<Results>>,
  body: Fits<Results, Body>,
): TaskSignature<MissingArgs, ResultOf<Body>, HandleOf<Body>>
export function chord(header: Signatures | AnySignature, body: AnySignature): AnySignature {
  const parts = 'toJSON' in header ? [header] : header
  const kwargs = { kwargs: {}, header: 'toJSON' in header ? header.toJSON() : wire(header), body: wire([body])[0] }
  return createSignature(composition('chord', kwargs), senderOf([...parts, body]))
}

function wire(parts: Signatures) {
  return parts.map((part, index) => {
    if (typeof part?.toJSON === 'function') return part.toJSON()
    throw new AppError('SIGNATURE_INVALID', `part ${index + 1} is not a signature: create a signature with task.s()`)
  })
}
