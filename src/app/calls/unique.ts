import type { TransactionClient } from '../apply-options.ts'
import { refuse } from '../check-options.ts'
import type { TaskOptions } from '../task-options.ts'

/** A call's claim to be the only one with its key. */
export interface UniqueClaim {
  readonly key: string
  /** Of the message that holds the key if it is free. */
  readonly id: string
  readonly forMs: number
}

/** Who has the key now. `taken`: the claim succeeded, and the message is to be sent under `id`, which may be that of an earlier attempt. */
export interface UniqueHolder {
  readonly id: string
  readonly taken: boolean
}

/** Where keys are kept: one row for each, in PostgreSQL. */
export interface UniqueStore {
  /** One statement for all, in the caller's transaction when there is one; keys must differ. @returns holders in the order of the claims */
  claim(claims: readonly UniqueClaim[], transaction?: TransactionClient): Promise<readonly UniqueHolder[]>
  /**
   * The messages of these claims were not sent. `certain`: the keys are free again; else nobody knows, and the next call with such a key
   * sends the message again under the same id, so that it is recorded once. Never throws: `forMs` ends what could not be said.
   */
  notSent(claims: readonly UniqueClaim[], certain: boolean): Promise<void>
}

/** What makes this call the same work as another one; undefined: the task is not unique. @throws AppError TASK_OPTION_INVALID */
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

/** JSON with the keys of objects in one order: `{a, b}` and `{b, a}` are the same work. */
function canonical(value: unknown): string {
  return JSON.stringify(value, (_key, inner) =>
    typeof inner === 'object' && inner !== null && !Array.isArray(inner)
      ? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1)))
      : inner,
  )
}
