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

/** Every step but the first takes what the one before it gives; one that does not is replaced by what it should be. */
type Linked<Steps extends Signatures> = number extends Steps['length'] ? LinkedList<Steps> : LinkedTuple<Steps>
type LinkedTuple<Steps extends Signatures> = {
  [Index in keyof Steps]: Index extends keyof Before<Steps> ? Follows<Before<Steps>[Index], Steps[Index]> : Steps[Index]
}
/** The steps, moved by one: at each place what comes before it. */
type Before<Steps extends Signatures> = [undefined, ...Steps]
/** Of a list of unknown length nobody knows which step is the last: each must take what any of them gives. */
type LinkedList<Steps extends Signatures> = Steps extends readonly [unknown, ...unknown[]]
  ? Steps
  : { [Index in keyof Steps]: Fits<ResultOf<Steps[number]>, Steps[Index]> }
type Follows<Previous, Step extends AnySignature> = Previous extends AnySignature ? Fits<ResultOf<Previous>, Step> : Step

type Last<Steps extends Signatures> = Steps extends readonly [...unknown[], infer End extends AnySignature] ? End : Steps[number]

/** Steps one after the other: what starts it gives the first what it misses, and its result is that of the last. */
export type ChainSignature<Steps extends Signatures> = TaskSignature<
  MissingOf<Steps[0] extends AnySignature ? Steps[0] : AnySignature>,
  ResultOf<Last<Steps>>,
  HandleOf<Last<Steps>>
>

/** The results of members, in their order; those of a group among them stand in its place. */
export type GroupResults<Members extends Signatures> = number extends Members['length']
  ? ResultsOf<Members[number]>
  : Members extends readonly [infer First extends AnySignature, ...infer Rest extends Signatures]
    ? [...ResultsOf<First, true>, ...GroupResults<Rest>]
    : []
type ResultsOf<Member extends AnySignature, Single extends boolean = false> =
  HandleOf<Member> extends GroupResult<infer Results> ? Results : Single extends true ? [ResultOf<Member>] : ResultOf<Member>[]

/** What every member misses: each is given the same. */
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

/** Members at the same time. */
export type GroupSignature<Members extends Signatures> = TaskSignature<
  MissingOfAll<Members>,
  GroupResults<Members>,
  GroupResult<GroupResults<Members>>
>

/**
 * Runs signatures one after the other, each given the result of the one before it, unless it is immutable (`task.si`). A group that
 * something follows gives it the list of its results.
 * @throws AppError SIGNATURE_INVALID without a step
 */
export function chain<const Steps extends Signatures>(...steps: Steps & Linked<Steps>): ChainSignature<Steps> {
  if (steps.length === 0) throw new AppError('SIGNATURE_INVALID', 'a chain has at least one step')
  return createSignature(composition('chain', { tasks: wire(steps) }), senderOf(steps))
}

/** Runs signatures at the same time; its result is the list of theirs, in their order. A group inside a group is part of it. */
export function group<const Members extends Signatures>(members: readonly [...Members]): GroupSignature<Members> {
  return createSignature(composition('group', { tasks: wire(members) }), senderOf(members))
}

/**
 * Runs `body` with the list of the results of `header`, when all of them have succeeded. One that fails, fails the body at once
 * (`ChordError`), and tells the body's errbacks.
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
    throw new AppError('SIGNATURE_INVALID', `part ${index + 1} is not a signature: make one with task.s()`)
  })
}
