import type { Signature, SignatureOptions } from '../../message/signature.ts'
import { invalid, listOf, merged } from './signature-options.ts'
import type { GroupTree, TaskTree, Tree } from './tree.ts'

/** Puts partial arguments before the arguments of the tasks that run first, unless these tasks are immutable. */
export function give(tree: Tree, args: readonly unknown[], kwargs: Readonly<Record<string, unknown>>): Tree {
  if (args.length === 0 && Object.keys(kwargs).length === 0) return tree
  switch (tree.kind) {
    case 'task': {
      const { signature } = tree
      if (signature.immutable) return tree
      return {
        kind: 'task',
        signature: { ...signature, args: [...args, ...signature.args], kwargs: { ...signature.kwargs, ...kwargs } },
      }
    }
    case 'chain':
      return { ...tree, steps: [give(tree.steps[0]!, args, kwargs), ...tree.steps.slice(1)] }
    default:
      return { ...tree, members: tree.members.map((member) => give(member, args, kwargs)) }
  }
}

/** Sets the id of the part whose result the caller waits for: the last task of a chain, or the body of a chord. */
export function named(tree: Tree, id: string | undefined): Tree {
  if (id === undefined) return tree
  return atEnd(tree, (end) =>
    end.kind === 'task' ? withOptions(end, { task_id: id, ...end.signature.options }) : { ...end, id: end.id ?? id },
  )
}

/** Applies `change` to the task or group at the end of the tree. */
function atEnd(tree: Tree, change: (end: TaskTree | GroupTree) => Tree): Tree {
  if (tree.kind === 'chain') return { ...tree, steps: [...tree.steps.slice(0, -1), atEnd(tree.steps.at(-1)!, change)] }
  return tree.kind === 'chord' ? { ...tree, body: atEnd(tree.body, change) } : change(tree)
}

/** Options that belong to one part of a composition and are not copied to all parts. */
const STRUCTURE = [
  'task_id',
  'root_id',
  'parent_id',
  'reply_to',
  'group_id',
  'group_index',
  'chord',
  'chain',
  'link',
  'link_error',
]
/** Options that apply only to the tasks that run first. */
const START = ['countdown', 'eta']
/** Options of a chain that a later step inherits unless it has its own. */
const FOR_STEPS = ['queue', 'exchange', 'routing_key', 'priority', 'headers', 'time_limit', 'soft_time_limit']

/**
 * Sets the options of a composition, which override the options of its parts (`_merge` in celery/canvas.py). A later step of a
 * chain gets only the options that it does not set itself.
 */
export function overridden(tree: Tree, options: SignatureOptions): Tree {
  const given = without(options, STRUCTURE)
  if (Object.keys(given).length === 0) return tree
  switch (tree.kind) {
    case 'task':
      return withOptions(tree, merged(tree.signature.options, given))
    case 'chain': {
      const later = Object.fromEntries(FOR_STEPS.filter((name) => name in given).map((name) => [name, given[name]]))
      const [first, ...rest] = tree.steps
      return { ...tree, steps: [overridden(first!, given), ...rest.map((step) => completed(step, later))] }
    }
    case 'group':
      return { ...tree, members: tree.members.map((member) => overridden(member, given)) }
    case 'chord': {
      const body = overridden(tree.body, without(given, START))
      return { ...tree, members: tree.members.map((member) => overridden(member, given)), body }
    }
    default:
      return tree satisfies never
  }
}

function completed(tree: Tree, options: SignatureOptions): Tree {
  return eachTask(tree, (task) => withOptions(task, { ...options, ...task.signature.options }))
}

function eachTask(tree: Tree, change: (task: TaskTree) => TaskTree): Tree {
  if (tree.kind === 'task') return change(tree)
  if (tree.kind === 'chain') return { ...tree, steps: tree.steps.map((step) => eachTask(step, change)) }
  const members = tree.members.map((member) => eachTask(member, change))
  return tree.kind === 'group' ? { ...tree, members } : { ...tree, members, body: eachTask(tree.body, change) }
}

/**
 * Adds callbacks to the end of the tree, and errbacks to every task that can fail. In a chord, the errbacks are added to its
 * body.
 * @throws AppError SIGNATURE_INVALID
 */
export function linked(tree: Tree, { link, link_error }: SignatureOptions): Tree {
  const callbacks = listOf(link)
  const errbacks = listOf(link_error)
  if (callbacks.length === 0 && errbacks.length === 0) return tree
  const withErrbacks = errbacks.length === 0 ? tree : guarded(tree, errbacks)
  return callbacks.length === 0 ? withErrbacks : atEnd(withErrbacks, (end) => calledBack(end, callbacks))
}

function calledBack(end: TaskTree | GroupTree, callbacks: readonly Signature[]): Tree {
  if (end.kind === 'group') invalid('a group cannot have a callback: put a task after it in a chain')
  return withOptions(end, { ...end.signature.options, link: added(end.signature.options.link, callbacks) })
}

function guarded(tree: Tree, errbacks: readonly Signature[]): Tree {
  switch (tree.kind) {
    case 'task':
      return withOptions(tree, { ...tree.signature.options, link_error: added(tree.signature.options.link_error, errbacks) })
    case 'chain':
      return { ...tree, steps: tree.steps.map((step) => guarded(step, errbacks)) }
    case 'group':
      return { ...tree, members: tree.members.map((member) => guarded(member, errbacks)) }
    case 'chord':
      return { ...tree, body: guarded(tree.body, errbacks) }
    default:
      return tree satisfies never
  }
}

/** Adds the signatures that are not in the list yet. Celery does the same, so that freezing a tree again changes nothing. */
export function added(present: SignatureOptions['link'], more: readonly Signature[]): readonly Signature[] {
  const list = [...listOf(present)]
  const known = new Set(list.map((signature) => JSON.stringify(signature)))
  for (const signature of more) if (!known.has(JSON.stringify(signature))) list.push(signature)
  return list
}

/** Makes a composition a member of a group or chord: the task or group at its end becomes the member. */
export function joined(tree: Tree, { chord, group_id, group_index }: SignatureOptions): Tree {
  if (chord == null && group_id == null && group_index == null) return tree
  const membership = { ...(chord == null ? {} : { chord }), ...(group_id == null ? {} : { group_id }) }
  return atEnd(tree, (end) => {
    if (end.kind === 'group') return eachTaskAtEnd(end, (task) => withOptions(task, { ...membership, ...task.signature.options }))
    const member = group_index == null ? membership : { ...membership, group_index }
    return withOptions(end, { ...member, ...end.signature.options })
  })
}

const eachTaskAtEnd = (tree: Tree, change: (task: TaskTree) => TaskTree): Tree =>
  atEnd(tree, (end) =>
    end.kind === 'task' ? change(end) : { ...end, members: end.members.map((member) => eachTaskAtEnd(member, change)) },
  )

const withOptions = (tree: TaskTree, options: SignatureOptions): TaskTree => ({
  kind: 'task',
  signature: { ...tree.signature, options },
})

function without(options: SignatureOptions, names: readonly string[]): SignatureOptions {
  return Object.fromEntries(Object.entries(options).filter(([name, value]) => !names.includes(name) && value != null))
}
