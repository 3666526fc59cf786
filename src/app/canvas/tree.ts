import type { Signature } from '../../message/signature.ts'

/**
 * A checked signature in normal form, as Celery's producers send it (docs/internals/wire-protocol.md, "Canvas"): no chain is
 * inside a chain, no group is inside a group, and in a chain the steps after a group or chord are the body of a chord. Only a
 * group without members is an empty tree.
 */
export type Tree = TaskTree | ChainTree | GroupTree | ChordTree

export interface TaskTree {
  readonly kind: 'task'
  readonly signature: Signature
}
/** A chain of two or more steps. All steps but the last are tasks. */
export interface ChainTree {
  readonly kind: 'chain'
  readonly steps: readonly Tree[]
  /** true: the chain ended with an empty group, so its result is an empty list. */
  readonly endsEmpty: boolean
}
/** A group none of whose members is a group. */
export interface GroupTree {
  readonly kind: 'group'
  readonly id: string | undefined
  readonly members: readonly Tree[]
}
/** A chord. No member of its header is a group, and its body is not empty. `id` is the id of the header. */
export interface ChordTree {
  readonly kind: 'chord'
  readonly id: string | undefined
  readonly members: readonly Tree[]
  readonly body: Tree
}
