import type { TransactionClient } from '../apply-options.ts'
import { refuse } from '../check-options.ts'
import type { TaskOptions } from '../task-options.ts'

/** A request to hold the key of a unique call. */
export interface UniqueClaim {
  readonly key: string
  /** The id of the message that will hold the key if no other message holds it. */
  readonly id: string
  readonly forMs: number
}

/**
 * The message that holds a key. `taken`: true if the claim succeeded. The caller must then send its message under `id`, which
 * may come from an earlier attempt to send it.
 */
export interface UniqueHolder {
  readonly id: string
  readonly taken: boolean
}

/** Stores the keys of unique calls in PostgreSQL, one row per key. */
export interface UniqueStore {
  /**
   * Claims keys in one statement, in the caller's transaction if there is one. All keys must be different.
   * @returns holders in the order of the claims
   */
  claim(claims: readonly UniqueClaim[], transaction?: TransactionClient): Promise<readonly UniqueHolder[]>
  /**
   * Reports that sending these messages failed. `certain`: true if none of them was sent; their keys are then free again. If
   * false, some may have been sent, and the next call with such a key sends its message again under the same id, so that only
   * one outcome is stored. Never throws: if the report is lost, the key is free after `forMs`.
   */
  notSent(claims: readonly UniqueClaim[], certain: boolean): Promise<void>
}

/** Returns the claim of a call; undefined if its task is not unique. @throws AppError TASK_OPTION_INVALID */
export function uniqueClaimOf(
  name: string,
  options: TaskOptions | undefined,
  call: {
    readonly id: string
    readonly args: readonly unknown[]
    readonly kwargs: Readonly<Record<string, unknown>> | undefined
  },
): UniqueClaim | undefined {
  const unique = options?.unique
  if (unique === undefined) return undefined
  const { id, args, kwargs } = call
  const own = unique.key === undefined ? canonical(kwargs === undefined ? [args] : [args, kwargs]) : unique.key(...args)
  if (typeof own !== 'string') refuse(`${name}: unique.key() must return a text, not a value of type ${typeof own}`)
  return { key: `${name} ${own}`, id, forMs: unique.forMs }
}

/** Returns JSON with sorted keys, so that `{a, b}` and `{b, a}` give the same key. */
function canonical(value: unknown): string {
  return JSON.stringify(value, (_key, inner) =>
    typeof inner === 'object' && inner !== null && !Array.isArray(inner)
      ? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1)))
      : inner,
  )
}
