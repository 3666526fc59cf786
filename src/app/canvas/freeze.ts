import type { Signature, SignatureOptions } from '../../message/signature.ts'
import { type RouteOf, routeNameOf } from './signature-message.ts'
import { listOf } from './signature-options.ts'
import type { ChordTree, GroupTree, TaskTree, Tree } from './tree.ts'

/**
 * The result of one task, or of the members of a group, that a caller can wait for. `parent` is the result of the step before
 * it.
 */
export interface ResultNode {
  readonly id: string
  readonly members?: readonly ResultNode[]
  readonly parent?: ResultNode | undefined
}

/** A tree in which every task has its id. `leaves` are the tasks whose results form the result of the tree. */
export type Frozen = FrozenTask | FrozenChain | FrozenGroup | FrozenChord

interface Resulting {
  readonly leaves: readonly ResultNode[]
  readonly result: ResultNode
}
export interface FrozenTask extends Resulting {
  readonly kind: 'task'
  readonly signature: Signature
}
export interface FrozenChain extends Resulting {
  readonly kind: 'chain'
  readonly steps: readonly Frozen[]
}
export interface FrozenGroup extends Resulting {
  readonly kind: 'group'
  readonly id: string
  readonly members: readonly Frozen[]
  /** true: the members of this group are members of another group too, so this group needs no handle. */
  readonly nested: boolean
  readonly chord: Signature | undefined
}
export interface FrozenChord extends Resulting {
  readonly kind: 'chord'
  readonly header: FrozenGroup
  readonly body: Frozen
}

/** The group or chord header that a task is a member of. */
interface Membership {
  /** The id of the group; undefined until the group starts, when it is frozen again and gets its id. */
  readonly id: string | undefined
  readonly chord: Signature | undefined
  readonly nextIndex: () => number
}

interface Position {
  /**
   * true: the messages of the tree are about to be sent. false: the tree is a later step, which is frozen again when the
   * workflow reaches it.
   */
  readonly begun: boolean
  readonly member?: Membership | undefined
  readonly parent?: ResultNode | undefined
}

export interface FreezeContext {
  readonly ids: () => string
  /** The reply queue of the client, set on every task that has no reply queue of its own. */
  readonly replyTo?: string | undefined
  /**
   * Returns queue and priority of a task. They are written into later steps, because the worker that sends these steps (a Python
   * worker, for example) may not have the routes.
   */
  readonly route?: RouteOf | undefined
}

/**
 * Gives every task of the tree its id and its position in its group, as Celery's `freeze` does. Existing ids are kept: when a
 * worker reaches a step, it freezes the step again, which only adds the fields of `position`.
 */
export function freeze(tree: Tree, context: FreezeContext, position: Position = { begun: true }): Frozen {
  switch (tree.kind) {
    case 'task':
      return freezeTask(tree, context, position)
    case 'group':
      return freezeGroup(tree, context, position)
    case 'chord':
      return freezeChord(tree, context, position)
    case 'chain': {
      const steps: Frozen[] = []
      let { parent } = position
      for (const [index, step] of tree.steps.entries()) {
        const member = index === tree.steps.length - 1 ? position.member : undefined
        const frozen = freeze(step, context, { begun: position.begun && index === 0, member, parent })
        steps.push(frozen)
        parent = frozen.result
      }
      const { leaves, result } = steps.at(-1)!
      return {
        kind: 'chain',
        steps,
        leaves,
        result: tree.endsEmpty ? { id: context.ids(), members: [], parent: result } : result,
      }
    }
    default:
      return tree satisfies never
  }
}

function freezeTask({ signature: given }: TaskTree, { ids, replyTo, route }: FreezeContext, position: Position): FrozenTask {
  const { begun, member, parent } = position
  // A task that is sent now gets its queue later, when its message is made.
  const signature = begun ? given : routed(given, route)
  const id = signature.options.task_id ?? ids()
  const { link, link_error } = signature.options
  const options: Record<string, unknown> = { ...signature.options, task_id: id }
  if (link != null) options.link = listOf(link).map((callback) => routed(callback, route))
  if (link_error != null) options.link_error = listOf(link_error).map((errback) => routed(errback, route))
  if (replyTo !== undefined) options.reply_to ??= replyTo
  if (member !== undefined) join(options, member)
  const result: ResultNode = { id, parent }
  return { kind: 'task', signature: { ...signature, options: options as SignatureOptions }, leaves: [result], result }
}

/** Adds the queue and priority of its route to a task that sets none. A composition is left unchanged. */
function routed(signature: Signature, route: RouteOf | undefined): Signature {
  const { task, args = [], options = {}, subtask_type } = signature
  if (route === undefined || subtask_type != null || typeof task !== 'string') return signature
  const { queue, priority } = route(routeNameOf(signature), args) ?? {}
  if (queue === undefined && priority === undefined) return signature
  return {
    ...signature,
    options: { ...(queue === undefined ? {} : { queue }), ...(priority === undefined ? {} : { priority }), ...options },
  }
}

/** Makes a task a member of a group, unless it is already a member of another group. */
function join(options: Record<string, unknown>, { id, chord, nextIndex }: Membership): void {
  const index = nextIndex()
  if (options.group_id != null && options.group_id !== id) return
  if (id !== undefined) options.group_id = id
  if (chord !== undefined) {
    options.chord = chord
    // The body of the chord needs the result, and a Python worker does not store it if ignore_result is true.
    if (options.ignore_result === true) options.ignore_result = false
  }
  options.group_index = index
}

function freezeGroup(tree: GroupTree, context: FreezeContext, { begun, member, parent }: Position): FrozenGroup {
  const id = tree.id ?? context.ids()
  const membership = member ?? { id: begun ? id : undefined, chord: undefined, nextIndex: counter() }
  const members = tree.members.map((inner) => freeze(inner, context, { begun, member: membership, parent }))
  return groupOf(id, members, { nested: member !== undefined, chord: membership.chord, parent })
}

function groupOf(
  id: string,
  members: readonly Frozen[],
  { nested, chord, parent }: { nested: boolean; chord: Signature | undefined; parent: ResultNode | undefined },
): FrozenGroup {
  const leaves = members.flatMap((member) => member.leaves)
  return { kind: 'group', id, members, nested, chord, leaves, result: { id, members: leaves, parent } }
}

/** Freezes a chord, beginning with its body, because every member of the header carries the body. */
function freezeChord(tree: ChordTree, context: FreezeContext, { begun, member, parent }: Position): FrozenChord {
  const id = tree.id ?? context.ids()
  const members: ResultNode[] = []
  const headerNode: ResultNode = { id, members, parent }
  const frozen = freeze(tree.body, context, { begun: false, member, parent: headerNode })
  const body = begun ? ofGroup(frozen, id) : frozen
  // If the chord starts at once, every member carries the body. Otherwise only a body of a single task is copied now, as in
  // Celery; any other body is added when the chord starts. Copies of nested bodies would make the message grow exponentially.
  const chord = begun || body.kind === 'task' ? signatureOf(body) : undefined
  const membership = { id: begun ? id : undefined, chord, nextIndex: counter() }
  const header = tree.members.map((inner) => freeze(inner, context, { begun, member: membership, parent }))
  const group = groupOf(id, header, { nested: false, chord, parent })
  members.push(...group.leaves)
  return { kind: 'chord', header: group, body, leaves: body.leaves, result: body.result }
}

/** Sets the id of the header's group in the body, unless the body is a member of another group. */
function ofGroup(body: Frozen, id: string): Frozen {
  if (body.kind === 'chain') return { ...body, steps: [...body.steps.slice(0, -1), ofGroup(body.steps.at(-1)!, id)] }
  if (body.kind !== 'task') return body
  const { signature } = body
  return { ...body, signature: { ...signature, options: { group_id: id, ...signature.options } } }
}

function counter(): () => number {
  let next = 0
  return () => next++
}

/** Returns the JSON signature of a frozen tree. */
export function signatureOf(frozen: Frozen): Signature {
  switch (frozen.kind) {
    case 'task':
      return frozen.signature
    case 'chain':
      return composition('chain', { tasks: frozen.steps.map(signatureOf) }, { task_id: frozen.result.id })
    case 'group': {
      const options = frozen.chord === undefined ? { task_id: frozen.id } : { task_id: frozen.id, chord: frozen.chord }
      return composition('group', { tasks: frozen.members.map(signatureOf) }, options)
    }
    case 'chord': {
      const { header, body } = frozen
      return composition('chord', { kwargs: {}, header: signatureOf(header), body: signatureOf(body) }, { task_id: header.id })
    }
    default:
      return frozen satisfies never
  }
}

/** Returns the JSON signature of a chain, group or chord that consists of these parts. */
export const composition = (
  type: 'chain' | 'group' | 'chord',
  kwargs: Signature['kwargs'],
  options: SignatureOptions = {},
): Signature => ({ task: `celery.${type}`, args: [], kwargs, options, subtask_type: type, immutable: false })
