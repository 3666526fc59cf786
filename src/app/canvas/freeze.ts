import type { Signature, SignatureOptions } from '../../message/signature.ts'
import { type RouteOf, routeNameOf } from './signature-message.ts'
import { listOf } from './signature-options.ts'
import type { ChordTree, GroupTree, TaskTree, Tree } from './tree.ts'

/** What somebody may wait for: one task, or the members of a group; `parent` is what runs before it. */
export interface ResultNode {
  readonly id: string
  readonly members?: readonly ResultNode[]
  readonly parent?: ResultNode | undefined
}

/** A tree in which every task has its id. `leaves`: the tasks whose results are its result. */
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
  /** Its members are members of another group: nobody asks for this one. */
  readonly nested: boolean
  readonly chord: Signature | undefined
}
export interface FrozenChord extends Resulting {
  readonly kind: 'chord'
  readonly header: FrozenGroup
  readonly body: Frozen
}

/** The group or chord header that a task ends in. */
interface Membership {
  /** undefined while the group has not begun: whoever begins it says it. */
  readonly id: string | undefined
  readonly chord: Signature | undefined
  readonly nextIndex: () => number
}

interface Place {
  /** Its messages are about to be sent; else it is a later step, to be frozen again when it is reached. */
  readonly begun: boolean
  readonly member?: Membership | undefined
  readonly parent?: ResultNode | undefined
}

export interface FreezeContext {
  readonly ids: () => string
  /** Queue for rpc results, given to every task that has none. */
  readonly replyTo?: string | undefined
  /** What is known here of tasks: later steps carry it along, because whoever sends them, in Python perhaps, may not know it. */
  readonly route?: RouteOf | undefined
}

/**
 * Gives every task of the tree its id, and its place in its group, as Celery's `freeze`. What has an id keeps it, so freezing again, as the
 * worker does that reaches a step, changes nothing but what the place adds.
 */
export function freeze(tree: Tree, context: FreezeContext, place: Place = { begun: true }): Frozen {
  switch (tree.kind) {
    case 'task':
      return freezeTask(tree, context, place)
    case 'group':
      return freezeGroup(tree, context, place)
    case 'chord':
      return freezeChord(tree, context, place)
    case 'chain': {
      const steps: Frozen[] = []
      let { parent } = place
      for (const [index, step] of tree.steps.entries()) {
        const member = index === tree.steps.length - 1 ? place.member : undefined
        const frozen = freeze(step, context, { begun: place.begun && index === 0, member, parent })
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

function freezeTask({ signature: given }: TaskTree, { ids, replyTo, route }: FreezeContext, place: Place): FrozenTask {
  const { begun, member, parent } = place
  // The message that is sent now gets its queue when it is made.
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

/** A task that says where it goes: its own queue and priority are stronger than those of its route. A composition is left as it is. */
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

/** A task that is a member of an outer group already has its place there. */
function join(options: Record<string, unknown>, { id, chord, nextIndex }: Membership): void {
  const index = nextIndex()
  if (options.group_id != null && options.group_id !== id) return
  if (id !== undefined) options.group_id = id
  if (chord !== undefined) {
    options.chord = chord
    // The body needs it: a worker in Python would keep it to itself.
    if (options.ignore_result === true) options.ignore_result = false
  }
  options.group_index = index
}

function freezeGroup(tree: GroupTree, context: FreezeContext, { begun, member, parent }: Place): FrozenGroup {
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

/** The body first: every member of the header carries it. */
function freezeChord(tree: ChordTree, context: FreezeContext, { begun, member, parent }: Place): FrozenChord {
  const id = tree.id ?? context.ids()
  const members: ResultNode[] = []
  const headerNode: ResultNode = { id, members, parent }
  const frozen = freeze(tree.body, context, { begun: false, member, parent: headerNode })
  const body = begun ? ofGroup(frozen, id) : frozen
  // A chord that has not begun is told its body when it begins. Before, only a plain body is copied into every member, as Celery does it:
  // with bodies within bodies the message would grow without bounds.
  const chord = begun || body.kind === 'task' ? signatureOf(body) : undefined
  const membership = { id: begun ? id : undefined, chord, nextIndex: counter() }
  const header = tree.members.map((inner) => freeze(inner, context, { begun, member: membership, parent }))
  const group = groupOf(id, header, { nested: false, chord, parent })
  members.push(...group.leaves)
  return { kind: 'chord', header: group, body, leaves: body.leaves, result: body.result }
}

/** The body names the group of its header, unless it is a member of another one. */
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

/** The signature as it travels. */
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

/** A chain, group or chord with nothing but its parts and its id. */
export const composition = (
  type: 'chain' | 'group' | 'chord',
  kwargs: Signature['kwargs'],
  options: SignatureOptions = {},
): Signature => ({ task: `celery.${type}`, args: [], kwargs, options, subtask_type: type, immutable: false })
