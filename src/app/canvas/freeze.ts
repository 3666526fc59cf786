import type { Signature, SignatureOptions } from '../../message/signature.ts'
import { type RouteOf, routeNameOf } from './signature-message.ts'
import { listOf } from './signature-options.ts'
import type { ChordTree, GroupTree, TaskTree, Tree } from './tree.ts'

/** A result that a caller can wait for: of one task, or of the members of a group. `parent` runs before it. */
export interface ResultNode {
  readonly id: string
  readonly members?: readonly ResultNode[]
  readonly parent?: ResultNode | undefined
}

/** A tree in which every task has its id. `leaves` are the tasks whose results make the result of the tree. */
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
  /** Its members are members of another group, so that this group needs no handle. */
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
  /** undefined until the group starts. Freezing it again at its start sets the id. */
  readonly id: string | undefined
  readonly chord: Signature | undefined
  readonly nextIndex: () => number
}

interface Position {
  /** true: its messages are about to be sent. false: it is a later step, which is frozen again when it is reached. */
  readonly begun: boolean
  readonly member?: Membership | undefined
  readonly parent?: ResultNode | undefined
}

export interface FreezeContext {
  readonly ids: () => string
  /** The reply queue of the client, for every task that has none. */
  readonly replyTo?: string | undefined
  /** Queues and priorities of tasks. Later steps carry them, because the worker that sends them (in Python perhaps) may not have them. */
  readonly route?: RouteOf | undefined
}

/**
 * Gives every task of the tree its id and its position in its group, as Celery's `freeze`. Existing ids are kept: a worker that reaches a
 * step freezes it again, which only adds what `position` says.
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
  // A task that is sent now gets its queue when its message is made.
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

/** Adds the queue and priority of its route to a task, unless it has its own. A composition is left unchanged. */
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
    // The body needs the result. A Python worker would not store it with ignore_result.
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

/** Freezes the body first, because every member of the header carries it. */
function freezeChord(tree: ChordTree, context: FreezeContext, { begun, member, parent }: Position): FrozenChord {
  const id = tree.id ?? context.ids()
  const members: ResultNode[] = []
  const headerNode: ResultNode = { id, members, parent }
  const frozen = freeze(tree.body, context, { begun: false, member, parent: headerNode })
  const body = begun ? ofGroup(frozen, id) : frozen
  // A chord that has not started gets its body when it starts. Until then only a body of one task is copied into every member, as Celery
  // does: with bodies within bodies the message would grow exponentially.
  const chord = begun || body.kind === 'task' ? signatureOf(body) : undefined
  const membership = { id: begun ? id : undefined, chord, nextIndex: counter() }
  const header = tree.members.map((inner) => freeze(inner, context, { begun, member: membership, parent }))
  const group = groupOf(id, header, { nested: false, chord, parent })
  members.push(...group.leaves)
  return { kind: 'chord', header: group, body, leaves: body.leaves, result: body.result }
}

/** Sets the group of the header in the body, unless the body is a member of another group. */
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

/** The JSON signature of a frozen tree. */
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

/** The JSON signature of a chain, group or chord of these parts. */
export const composition = (
  type: 'chain' | 'group' | 'chord',
  kwargs: Signature['kwargs'],
  options: SignatureOptions = {},
): Signature => ({ task: `celery.${type}`, args: [], kwargs, options, subtask_type: type, immutable: false })
