import type { Signature } from '../../message/signature.ts'

/**
 * A checked signature in normal form, as Celery's producers send it (docs/internals/wire-protocol.md, "Canvas"): no chain within a chain,
 * no group within a group, and the steps after a group or chord in a chain are the body of a chord. The only empty tree is a group
 * without members.
 */
export type Tree = TaskTree | ChainTree | GroupTree | ChordTree

export interface TaskTree {
  readonly kind: 'task'
  readonly signature: Signature
}
/** Two or more steps. All but the last are tasks. */
export interface ChainTree {
  readonly kind: 'chain'
  readonly steps: readonly Tree[]
  /** The chain ended with an empty group, so that its result is an empty list. */
  readonly endsEmpty: boolean
}
/** No member is a group. */
export interface GroupTree {
  readonly kind: 'group'
  readonly id: string | undefined
  readonly members: readonly Tree[]
}
/** No member of the header is a group, and the body is not empty. `id` is the id of the header. */
export interface ChordTree {
  readonly kind: 'chord'
  readonly id: string | undefined
  readonly members: readonly Tree[]
  readonly body: Tree
}
