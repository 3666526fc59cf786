import { v7 as uuidv7 } from 'uuid'
import type { Signature, SignatureOptions } from '../../message/signature.ts'
import type { Child, Effects, Plan } from '../effects.ts'
import { begin } from './begin.ts'
import { type FreezeContext, type Frozen, freeze, type ResultNode } from './freeze.ts'
import type { MessageContext, RouteOf } from './signature-message.ts'
import { listOf } from './signature-options.ts'
import { chainOf, readTree } from './signature-tree.ts'
import type { Tree } from './tree.ts'
import { added, give, linked, overridden } from './tree-options.ts'

export type { ResultNode } from './freeze.ts'
export type { RouteOf, TaskDefaults } from './signature-message.ts'

/** Of whom the planned tasks are children. */
export interface Lineage {
  readonly parentId: string
  readonly rootId: string
}

export type PlanSignature = (signature: Signature, args: readonly unknown[], of: Lineage) => Plan
export type PlanErrbacks = (signature: Signature, failedId: string, of: Lineage) => Plan

export interface PlanOptions extends Partial<FreezeContext>, Partial<MessageContext> {
  /** Partial arguments: they come first. */
  readonly args?: readonly unknown[] | undefined
  readonly kwargs?: Readonly<Record<string, unknown>> | undefined
  /** Stronger than the signature's. */
  readonly options?: SignatureOptions | undefined
}

/** A plan, and what it begins with. */
export interface PlanWithChildren extends Plan {
  readonly children: readonly Child[]
}

/** A plan, and what its sender may wait for. */
export interface Planned extends PlanWithChildren {
  readonly result: ResultNode
}

/**
 * From a signature to the messages that begin it, and the chords and groups that must be known before these run. Pure but for new ids and
 * the clock, which are parameters.
 * @throws AppError SIGNATURE_INVALID
 */
export function planOf(signature: Signature, { args = [], kwargs = {}, options = {}, ...context }: PlanOptions = {}): Planned {
  const tree = give(readTree(withId(signature, options)), args, kwargs)
  return planTree(linked(overridden(tree, options), options), context)
}

/** What the id of a composition names is a matter of its kind, so it is read with the signature. */
const withId = (signature: Signature, { task_id }: SignatureOptions): Signature =>
  task_id === undefined ? signature : { ...signature, options: { ...signature.options, task_id } }

/** What follows in a chain, in order; the value of the task before it is given to the first of them. @throws AppError SIGNATURE_INVALID */
export function planSteps(steps: readonly unknown[], { args = [], ...context }: PlanOptions): Planned {
  return planTree(give(chainOf(steps.map((step) => readTree(step))), args, {}), context)
}

function planTree(tree: Tree, options: Partial<FreezeContext & MessageContext>): Planned {
  const { ids = uuidv7, replyTo, now = Date.now(), ...context } = options
  const frozen = freeze(tree, { ids, replyTo, route: context.route })
  const planBody = (body: Signature) => planSteps([body], { ...options, args: [[]] })
  return { ...begin(frozen, { ...context, now, planBody }), result: frozen.result, children: [childOf(frozen)] }
}

function childOf(frozen: Frozen): Child {
  if (frozen.kind === 'chain') return childOf(frozen.steps[0]!)
  if (frozen.kind === 'chord') return { group: frozen.header.id }
  return frozen.kind === 'group' ? { group: frozen.id } : frozen.result.id
}

export interface Planner {
  /** The body of a chord, or another signature whose time has come. @throws AppError SIGNATURE_INVALID */
  readonly planSignature: PlanSignature
  /**
   * The errbacks of a signature that will never run, such as the body of a chord whose header failed: each gets the id of what failed. One
   * that is invalid does not keep the others from being sent. @throws AppError SIGNATURE_INVALID when the signature itself cannot be read
   */
  readonly planErrbacks: PlanErrbacks
}

/** For a worker, which knows the queues of its tasks. */
export function createPlanner(route?: RouteOf): Planner {
  return {
    planSignature: (signature, args, of) => planOf(signature, { args, route, ...of }),
    planErrbacks: (signature, failedId, of) => planEach(errbacksOf(readTree(signature)), { args: [failedId], route, ...of }),
  }
}

/** Several signatures, each given the same arguments. One that is invalid is told to `report` and left out. */
export function planEach(
  signatures: readonly unknown[],
  options: PlanOptions,
  report: (error: unknown) => void = () => {},
): PlanWithChildren {
  const plans: PlanWithChildren[] = []
  for (const signature of signatures) {
    try {
      plans.push(planOf(signature as Signature, options))
    } catch (error) {
      report(error)
    }
  }
  return mergePlans(plans)
}

/** One plan of several. */
export function mergePlans(plans: readonly PlanWithChildren[]): PlanWithChildren {
  return {
    messages: plans.flatMap(({ messages }) => messages),
    chords: plans.flatMap(({ chords }) => chords),
    groups: plans.flatMap(({ groups }) => groups),
    children: plans.flatMap(({ children }) => children),
  }
}

/** Those of what would have run first. */
function errbacksOf(tree: Tree): readonly Signature[] {
  switch (tree.kind) {
    case 'task':
      return listOf(tree.signature.options.link_error)
    case 'chain':
      return errbacksOf(tree.steps[0]!)
    case 'group':
      return tree.members.reduce<readonly Signature[]>((all, member) => added(all, errbacksOf(member)), [])
    case 'chord':
      return errbacksOf(tree.body)
    default:
      return tree satisfies never
  }
}

/**
 * The tasks of a signature that will never run, to be recorded as what it depended on ended: the rest of a chain, the body of a chord.
 * Whoever waits for any of them must not wait for ever. @throws AppError SIGNATURE_INVALID
 */
export function abandonedBy(signature: unknown): NonNullable<Effects['unreachable']> {
  return abandoned(readTree(signature), true)
}

/** `counts`: the chord that it is a member of has begun, and waits for it. */
function abandoned(tree: Tree, counts: boolean): NonNullable<Effects['unreachable']> {
  switch (tree.kind) {
    case 'task': {
      const { task, options } = tree.signature
      return options.task_id === undefined ? [] : [{ id: options.task_id, task, countsForChord: counts && options.chord != null }]
    }
    case 'chain':
      return tree.steps.flatMap((step) => abandoned(step, counts))
    case 'group':
      return tree.members.flatMap((member) => abandoned(member, counts))
    case 'chord':
      return [...tree.members.flatMap((member) => abandoned(member, false)), ...abandoned(tree.body, counts)]
    default:
      return tree satisfies never
  }
}
