import { v7 as uuidv7 } from 'uuid'
import type { Message } from '../../message/message.ts'
import type { Signature, SignatureOptions } from '../../message/signature.ts'
import type { Child, ChordPlan, Effects, GroupPlan, Plan } from '../effects.ts'
import {
  type FreezeContext,
  type Frozen,
  type FrozenChord,
  type FrozenGroup,
  freeze,
  type ResultNode,
  signatureOf,
} from './freeze.ts'
import { type MessageContext, messageOf, type RouteOf } from './signature-message.ts'
import { listOf } from './signature-options.ts'
import { chainOf, readTree } from './signature-tree.ts'
import type { Tree } from './tree.ts'
import { added, give, linked, overridden } from './tree-options.ts'

export type { ResultNode } from './freeze.ts'
export type { RouteOf, TaskDefaults } from './signature-message.ts'

/** The parent of the planned tasks, and the root of their workflow. */
export interface Lineage {
  readonly parentId: string
  readonly rootId: string
}

export type PlanSignature = (signature: Signature, args: readonly unknown[], of: Lineage) => Plan
export type PlanErrbacks = (signature: Signature, failedId: string, of: Lineage) => Plan

export interface PlanOptions extends Partial<FreezeContext>, Partial<MessageContext> {
  /** Partial arguments, which are put before the arguments of the signature. */
  readonly args?: readonly unknown[] | undefined
  readonly kwargs?: Readonly<Record<string, unknown>> | undefined
  /** Options that override the options of the signature. */
  readonly options?: SignatureOptions | undefined
}

/** A plan, and the tasks or groups that it starts first. */
export interface PlanWithChildren extends Plan {
  readonly children: readonly Child[]
}

/** A plan, and the result that the sender can wait for. */
export interface Planned extends PlanWithChildren {
  readonly result: ResultNode
}

/**
 * Plans a signature: returns the messages that start it, and the chords and groups that must be stored before these messages
 * run. Pure: the caller passes ids and clock.
 * @throws AppError SIGNATURE_INVALID
 */
export function planOf(signature: Signature, { args = [], kwargs = {}, options = {}, ...context }: PlanOptions = {}): Planned {
  const tree = give(readTree(withId(signature, options)), args, kwargs)
  return planTree(linked(overridden(tree, options), options), context)
}

/** The id is set before the signature is read, because each kind of composition gives the id to a different part. */
const withId = (signature: Signature, { task_id }: SignatureOptions): Signature =>
  task_id === undefined ? signature : { ...signature, options: { ...signature.options, task_id } }

/**
 * Plans the next steps of a chain, in order. The first step receives `args`, the result of the step before it.
 * @throws AppError SIGNATURE_INVALID
 */
export function planSteps(steps: readonly unknown[], { args = [], ...context }: PlanOptions): Planned {
  return planTree(give(chainOf(steps.map((step) => readTree(step))), args, {}), context)
}

function planTree(tree: Tree, options: Partial<FreezeContext & MessageContext>): Planned {
  const { ids = uuidv7, replyTo, now = Date.now(), ...context } = options
  const frozen = freeze(tree, { ids, replyTo, route: context.route })
  const planBody = (body: Signature) => planSteps([body], { ...options, args: [[]] })
  return { ...begin(frozen, { ...context, now, planBody }), result: frozen.result, children: [childOf(frozen)] }
}

interface BeginContext extends MessageContext {
  /** Plans the body of a chord whose header is empty. */
  readonly planBody: (body: Signature) => Plan
}

/**
 * Returns the messages that start a frozen tree: the first task of a chain, and every member of a group or chord header, also
 * inside nested compositions.
 */
function begin(frozen: Frozen, context: BeginContext): Plan {
  const messages: Message[] = []
  const chords: ChordPlan[] = []
  const groups: GroupPlan[] = []

  const beginAny = (step: Frozen, next: readonly Frozen[] = []): void => {
    if (step.kind === 'task') messages.push(messageOf(step.signature, next.map(signatureOf), context))
    else if (step.kind === 'chain') beginAny(step.steps[0]!, step.steps.slice(1))
    else if (step.kind === 'group') beginGroup(step)
    else beginChord(step)
  }

  const beginGroup = ({ id, members, leaves, nested }: FrozenGroup): void => {
    if (!nested) groups.push({ id, members: leaves.map((leaf) => leaf.id) })
    for (const member of members) beginAny(member)
  }

  const beginChord = ({ header, body }: FrozenChord): void => {
    beginGroup(header)
    const members = header.leaves.map(({ id }) => id)
    if (members.length > 0) {
      chords.push({ id: header.id, members, body: signatureOf(body), rootId: context.rootId ?? null })
      return
    }
    const planned = context.planBody(signatureOf(body))
    messages.push(...planned.messages)
    chords.push(...planned.chords)
    groups.push(...planned.groups)
  }

  beginAny(frozen)
  return { messages, chords, groups }
}

function childOf(frozen: Frozen): Child {
  if (frozen.kind === 'chain') return childOf(frozen.steps[0]!)
  if (frozen.kind === 'chord') return { group: frozen.header.id }
  return frozen.kind === 'group' ? { group: frozen.id } : frozen.result.id
}

export interface Planner {
  /** Plans a signature that can run now, such as the body of a complete chord. @throws AppError SIGNATURE_INVALID */
  readonly planSignature: PlanSignature
  /**
   * Plans the errbacks of a signature that can no longer run, such as the body of a chord whose header failed. Each errback
   * receives the id of the failed task. An invalid errback is left out.
   * @throws AppError SIGNATURE_INVALID if the signature itself cannot be read
   */
  readonly planErrbacks: PlanErrbacks
}

/** Creates a planner that uses the queues of `route`; a worker passes the routes of its app. */
export function createPlanner(route?: RouteOf): Planner {
  return {
    planSignature: (signature, args, of) => planOf(signature, { args, route, ...of }),
    planErrbacks: (signature, failedId, of) => planEach(errbacksOf(readTree(signature)), { args: [failedId], route, ...of }),
  }
}

/** Plans several signatures with the same arguments. An invalid signature is passed to `report` and left out. */
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

/** Joins several plans. */
export function mergePlans(plans: readonly PlanWithChildren[]): PlanWithChildren {
  return {
    messages: plans.flatMap(({ messages }) => messages),
    chords: plans.flatMap(({ chords }) => chords),
    groups: plans.flatMap(({ groups }) => groups),
    children: plans.flatMap(({ children }) => children),
  }
}

/** Returns the errbacks of the tasks that run first in the tree. */
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
 * Returns the tasks of a signature that can no longer run: the rest of a chain, or the body of a chord. They get the outcome of
 * the task that they depended on, so that no caller waits for ever.
 * @throws AppError SIGNATURE_INVALID
 */
export function unreachableIn(signature: unknown): NonNullable<Effects['unreachable']> {
  return unreachable(readTree(signature), true)
}

/**
 * Returns the tasks of a tree that can no longer run.
 * @param counts true if the tasks are members of a chord that has started and waits for them
 */
function unreachable(tree: Tree, counts: boolean): NonNullable<Effects['unreachable']> {
  switch (tree.kind) {
    case 'task': {
      const { task, options } = tree.signature
      return options.task_id === undefined ? [] : [{ id: options.task_id, task, countsForChord: counts && options.chord != null }]
    }
    case 'chain':
      return tree.steps.flatMap((step) => unreachable(step, counts))
    case 'group':
      return tree.members.flatMap((member) => unreachable(member, counts))
    case 'chord':
      return [...tree.members.flatMap((member) => unreachable(member, false)), ...unreachable(tree.body, counts)]
    default:
      return tree satisfies never
  }
}
