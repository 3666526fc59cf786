import { AppError } from '../errors.ts'
import type { Signature, SignatureOptions } from '../message/signature.ts'
import { checkOptions, isRecord, listOf, merged } from './signature-options.ts'

/**
 * A signature that makes sense, unrolled: no chain in a chain, no group in a group; what follows a group or a chord in a chain is the body
 * of a chord, as Celery's producers do it (reference/celery-protocol.md §4.3). A group without members is the only empty tree.
 */
export type Tree = TaskTree | ChainTree | GroupTree | ChordTree

export interface TaskTree {
  readonly kind: 'task'
  readonly signature: Signature
}
/** Two steps or more, tasks all but the last. */
export interface ChainTree {
  readonly kind: 'chain'
  readonly steps: readonly Tree[]
  /** An empty group stood at its end: its result is that of no task. */
  readonly endsEmpty: boolean
}
/** Members are no groups. */
export interface GroupTree {
  readonly kind: 'group'
  readonly id: string | undefined
  readonly members: readonly Tree[]
}
/** Header members are no groups; the body is not empty. `id`: of the header. */
export interface ChordTree {
  readonly kind: 'chord'
  readonly id: string | undefined
  readonly members: readonly Tree[]
  readonly body: Tree
}

/** Deeper than anybody composes by hand, and far from the end of the stack. */
const MAX_DEPTH = 100

/** Whatever came along with a message or was composed here. @throws AppError SIGNATURE_INVALID naming what is wrong */
export function readTree(value: unknown, depth = 0): Tree {
  const signature = readSignature(value)
  if (depth > MAX_DEPTH) invalid(`it is nested more than ${MAX_DEPTH} deep`)
  const { options } = signature
  const tree = treeOf(signature, depth + 1)
  if (options.chain == null) return tree
  // Celery's worker hands the rest of a chain on as an option of a chord's body.
  if (!Array.isArray(options.chain)) invalid('options.chain is not a list')
  return chainOf([tree, ...options.chain.map((step) => readTree(step, depth + 1)).reverse()])
}

/** @throws AppError SIGNATURE_INVALID */
export function readSignature(value: unknown): Signature {
  if (!isRecord(value)) invalid(`${JSON.stringify(value)?.slice(0, 80)} is not an object`)
  const { task, args, kwargs, options, subtask_type = null, immutable } = value
  if (typeof task !== 'string' || task === '' || task.length > 200)
    invalid(`it names no task but ${JSON.stringify(task)?.slice(0, 80)}`)
  if (args != null && !Array.isArray(args)) invalid(`${task}: args is not a list`)
  if (kwargs != null && !isRecord(kwargs)) invalid(`${task}: kwargs is not an object`)
  if (options != null && !isRecord(options)) invalid(`${task}: options is not an object`)
  return {
    task,
    args: args ?? [],
    kwargs: kwargs ?? {},
    options: checkOptions(task, (options ?? {}) as SignatureOptions),
    subtask_type: typeof subtask_type === 'string' ? subtask_type : null,
    immutable: immutable === true,
  }
}

function treeOf(signature: Signature, depth: number): Tree {
  const { subtask_type, options, kwargs, args, immutable } = signature
  if (subtask_type !== 'chain' && subtask_type !== 'group' && subtask_type !== 'chord') {
    const { chain, ...own } = options
    return { kind: 'task', signature: chain == null ? signature : { ...signature, options: own } }
  }
  const composed = subtask_type === 'chord' ? chordOf(kwargs, options, depth) : partsOf(subtask_type, kwargs, options, depth)
  const given = immutable ? composed : give(composed, args, {})
  return joined(linked(overridden(given, options), options), options)
}

function partsOf(type: 'chain' | 'group', kwargs: Signature['kwargs'], { task_id }: SignatureOptions, depth: number): Tree {
  if (!Array.isArray(kwargs.tasks)) invalid(`celery.${type}: kwargs.tasks is not a list`)
  const parts = kwargs.tasks.map((part: unknown) => readTree(part, depth))
  if (type === 'group') return { kind: 'group', id: task_id, members: unrolled(parts) }
  return named(chainOf(parts), task_id)
}

function chordOf(kwargs: Signature['kwargs'], { task_id }: SignatureOptions, depth: number): Tree {
  const { header, body } = kwargs
  if (body == null) invalid('celery.chord: it has no body')
  const parts = Array.isArray(header) ? header.map((part: unknown) => readTree(part, depth)) : [readTree(header, depth)]
  // Frozen by Celery, the id of a chord is that of its header.
  const id = parts.length === 1 && !Array.isArray(header) && parts[0]!.kind === 'group' ? parts[0]!.id : undefined
  const callback = readTree(body, depth)
  const members = unrolled(parts)
  if (isEmpty(callback)) return { kind: 'group', id, members }
  return { kind: 'chord', id, members, body: id === task_id ? callback : named(callback, task_id) }
}

/** Members of groups within groups, in their order; what is empty has no result and no place. */
const unrolled = (parts: readonly Tree[]): readonly Tree[] =>
  parts.flatMap((part) => (part.kind === 'group' ? part.members : [part]))

export const isEmpty = (tree: Tree): boolean => tree.kind === 'group' && tree.members.length === 0

/** One after the other. */
export function chainOf(parts: readonly Tree[]): Tree {
  const last = parts.at(-1)
  const steps = parts.flatMap((part) => (part.kind === 'chain' ? stepsOf(part, part === last) : [part]))
  let endsEmpty = last !== undefined && last.kind === 'chain' && last.endsEmpty
  while (steps.length > 1 && isEmpty(steps.at(-1)!)) {
    steps.pop()
    endsEmpty = true
  }
  const at = steps.findIndex(({ kind }) => kind === 'group' || kind === 'chord')
  const parallel = steps[at]
  if (parallel !== undefined && at < steps.length - 1 && (parallel.kind === 'group' || parallel.kind === 'chord')) {
    const rest = steps.slice(at + 1)
    const body = chainOf(parallel.kind === 'chord' ? [parallel.body, ...rest] : rest)
    steps.splice(at, steps.length, { kind: 'chord', id: parallel.id, members: parallel.members, body })
  }
  if (steps.length === 0) return { kind: 'group', id: undefined, members: [] }
  return steps.length === 1 && !endsEmpty ? steps[0]! : { kind: 'chain', steps, endsEmpty }
}

/** What follows a chain that ends in an empty group gets no results, not those of the task before it. */
const stepsOf = ({ steps, endsEmpty }: ChainTree, isLast: boolean): readonly Tree[] =>
  endsEmpty && !isLast ? [...steps, { kind: 'group', id: undefined, members: [] }] : steps

/** Partial arguments come first; they go to whatever starts first and takes any. */
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

/** The id of what the caller waits for: that of the last task of a chain, of the body of a chord. */
function named(tree: Tree, id: string | undefined): Tree {
  if (id === undefined) return tree
  return atEnd(tree, (end) =>
    end.kind === 'task' ? withOptions(end, { task_id: id, ...end.signature.options }) : { ...end, id: end.id ?? id },
  )
}

/** Changes the task or group whose end is the end of the whole. */
function atEnd(tree: Tree, change: (end: TaskTree | GroupTree) => Tree): Tree {
  if (tree.kind === 'chain') return { ...tree, steps: [...tree.steps.slice(0, -1), atEnd(tree.steps.at(-1)!, change)] }
  return tree.kind === 'chord' ? { ...tree, body: atEnd(tree.body, change) } : change(tree)
}

/** What options of a composition mean for its parts. */
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
/** When something starts concerns what starts first. */
const START = ['countdown', 'eta']
/** Where a step has none itself, it has those of its chain. */
const FOR_STEPS = ['queue', 'exchange', 'routing_key', 'priority', 'headers', 'time_limit', 'soft_time_limit']

/** Options given to a composition are stronger than those of its parts (`_merge`, §4.1). The later steps of a chain get what they lack. */
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

/** Callbacks belong to the end, errbacks to every task that may fail; a chord fails as its body. @throws AppError SIGNATURE_INVALID */
export function linked(tree: Tree, { link, link_error }: SignatureOptions): Tree {
  const callbacks = listOf(link)
  const errbacks = listOf(link_error)
  if (callbacks.length === 0 && errbacks.length === 0) return tree
  const withErrbacks = errbacks.length === 0 ? tree : guarded(tree, errbacks)
  return callbacks.length === 0 ? withErrbacks : atEnd(withErrbacks, (end) => calledBack(end, callbacks))
}

function calledBack(end: TaskTree | GroupTree, callbacks: readonly Signature[]): Tree {
  if (end.kind === 'group') invalid('a group has no callback of its own: let a task follow it')
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

/** The same signature is not added twice, as in Celery: freezing again must change nothing. */
export function added(present: SignatureOptions['link'], more: readonly Signature[]): readonly Signature[] {
  const list = [...listOf(present)]
  const known = new Set(list.map((signature) => JSON.stringify(signature)))
  for (const signature of more) if (!known.has(JSON.stringify(signature))) list.push(signature)
  return list
}

/** A composition that is itself a member of a group or chord: its end is. */
function joined(tree: Tree, { chord, group_id, group_index }: SignatureOptions): Tree {
  if (chord == null && group_id == null && group_index == null) return tree
  const membership = { ...(chord == null ? {} : { chord }), ...(group_id == null ? {} : { group_id }) }
  return atEnd(tree, (end) => {
    if (end.kind === 'group') return eachTaskAtEnd(end, (task) => withOptions(task, { ...membership, ...task.signature.options }))
    const place = group_index == null ? membership : { ...membership, group_index }
    return withOptions(end, { ...place, ...end.signature.options })
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

function invalid(problem: string): never {
  throw new AppError('SIGNATURE_INVALID', `the signature is not one: ${problem}`)
}
