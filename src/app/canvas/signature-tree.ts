import type { Signature, SignatureOptions } from '../../message/signature.ts'
import { checkOptions, invalid, isRecord } from './signature-options.ts'
import type { ChainTree, Tree } from './tree.ts'
import { give, joined, linked, named, overridden } from './tree-options.ts'

/** Largest depth of nesting. It is deeper than any workflow written by hand, and far below the limit of the call stack. */
const MAX_DEPTH = 100

/** Reads a signature that comes from a message or from this process. @throws AppError SIGNATURE_INVALID naming the problem */
export function readTree(value: unknown, depth = 0): Tree {
  const signature = readSignature(value)
  if (depth > MAX_DEPTH) invalid(`signatures are nested more than ${MAX_DEPTH} levels deep`)
  const { options } = signature
  const tree = treeOf(signature, depth + 1)
  if (options.chain == null) return tree
  // In Celery, a worker passes the rest of a chain on as the option `chain` of a chord's body.
  if (!Array.isArray(options.chain)) invalid('options.chain must be a list')
  return chainOf([tree, ...options.chain.map((step) => readTree(step, depth + 1)).reverse()])
}

/** Checks and returns the fields of a signature. @throws AppError SIGNATURE_INVALID */
export function readSignature(value: unknown): Signature {
  if (!isRecord(value)) invalid(`a signature must be an object, not ${JSON.stringify(value)?.slice(0, 80)}`)
  const { task, args, kwargs, options, subtask_type = null, immutable } = value
  if (typeof task !== 'string' || task === '' || task.length > 200)
    invalid(`task must be a name of 1 to 200 characters, not ${JSON.stringify(task)?.slice(0, 80)}`)
  if (args != null && !Array.isArray(args)) invalid(`${task}: args must be a list`)
  if (kwargs != null && !isRecord(kwargs)) invalid(`${task}: kwargs must be an object`)
  if (options != null && !isRecord(options)) invalid(`${task}: options must be an object`)
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
  if (!Array.isArray(kwargs.tasks)) invalid(`celery.${type}: kwargs.tasks must be a list`)
  const parts = kwargs.tasks.map((part: unknown) => readTree(part, depth))
  if (type === 'group') return { kind: 'group', id: task_id, members: unrolled(parts) }
  return named(chainOf(parts), task_id)
}

function chordOf(kwargs: Signature['kwargs'], { task_id }: SignatureOptions, depth: number): Tree {
  const { header, body } = kwargs
  if (body == null) invalid('celery.chord: kwargs.body is missing')
  const parts = Array.isArray(header) ? header.map((part: unknown) => readTree(part, depth)) : [readTree(header, depth)]
  // If Celery froze the chord, its header is one group that has an id.
  const id = parts.length === 1 && !Array.isArray(header) && parts[0]!.kind === 'group' ? parts[0]!.id : undefined
  const callback = readTree(body, depth)
  const members = unrolled(parts)
  if (isEmpty(callback)) return { kind: 'group', id, members }
  return { kind: 'chord', id, members, body: id === task_id ? callback : named(callback, task_id) }
}

/** Flattens groups within groups, in order. An empty group is left out, because it has no result. */
const unrolled = (parts: readonly Tree[]): readonly Tree[] =>
  parts.flatMap((part) => (part.kind === 'group' ? part.members : [part]))

const isEmpty = (tree: Tree): boolean => tree.kind === 'group' && tree.members.length === 0

/** Returns a chain of these parts, in normal form. */
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

/** If a chain ends with an empty group, the step after it receives an empty list instead of the result of the last task. */
const stepsOf = ({ steps, endsEmpty }: ChainTree, isLast: boolean): readonly Tree[] =>
  endsEmpty && !isLast ? [...steps, { kind: 'group', id: undefined, members: [] }] : steps
