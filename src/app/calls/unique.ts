import type { TransactionClient } from '../apply-options.ts'
import { refuse } from '../check-options.ts'
import type { TaskOptions } from '../task-options.ts'

/** The claim of a unique call to its key. */
export interface UniqueClaim {
  readonly key: string
  /** The id of the message that will hold the key if the key is free. */
  readonly id: string
  readonly forMs: number
}

/** The holder of a key. `taken`: the claim succeeded; the message must be sent under `id`, which may come from an earlier attempt to send. */
export interface UniqueHolder {
  readonly id: string
  readonly taken: boolean
}

/** Stores keys, one row each, in PostgreSQL. */
export interface UniqueStore {
  /** Claims keys in one statement, in the caller's transaction if there is one. Keys must differ. @returns holders in the order of the claims */
  claim(claims: readonly UniqueClaim[], transaction?: TransactionClient): Promise<readonly UniqueHolder[]>
  /**
   * Reports that sending these messages failed. `certain`: none was sent, and the keys are free again. Else some may have been sent, and the
   * next call with such a key sends the message again under the same id, so that only one outcome is stored. Never throws: if the report
   * is lost, the key is free after `forMs`.
   */
  notSent(claims: readonly UniqueClaim[], certain: boolean): Promise<void>
}

/** The claim of a call; undefined if its task is not unique. @throws AppError TASK_OPTION_INVALID */
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
  if (typeof own !== 'string') refuse(`${name}: unique.key gave ${typeof own}, not a text`)
  return { key: `${name} ${own}`, id, forMs: unique.forMs }
}

/** JSON with sorted keys, so that `{a, b}` and `{b, a}` are the same work. */
function canonical(value: unknown): string {
  return JSON.stringify(value, (_key, inner) =>
    typeof inner === 'object' && inner !== null && !Array.isArray(inner)
      ? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1)))
      : inner,
  )
}
