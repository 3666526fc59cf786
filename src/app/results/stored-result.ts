import type { Child } from '../effects.ts'
import type { State } from '../outcome.ts'

/** An outcome as read from the table of results. */
export interface StoredResult {
  readonly id: string
  readonly task: string
  readonly state: State
  /** The value, or `{exc_type, exc_message, exc_module}` for FAILURE, RETRY and REVOKED. */
  readonly result: unknown
  readonly traceback: string | null
  readonly queue: string | null
  readonly worker: string | null
  readonly retries: number
  /**
   * The arguments if the task was sent from the console; null for any other task, because its arguments are only in the message.
   */
  readonly args: readonly unknown[] | null
  readonly createdAt: Date
  readonly startedAt: Date | null
  readonly doneAt: Date | null
  /**
   * For RETRY: the time when the next attempt is due. `nextAt` and all fields below it are present only in a result that was
   * read by its id.
   */
  readonly nextAt?: Date | null
  /** The time when the result expires by the TTL of its task; null if RESULT_TTL applies. */
  readonly expiresAt?: Date | null
  readonly parentId?: string | null
  readonly rootId?: string | null
  /** Tasks and groups that the task sent. */
  readonly children?: readonly Child[]
  /** The latest `ctx.progress`. */
  readonly progress?: Progress | null
}

export interface Progress {
  readonly n: number
  readonly of?: number | null
  readonly note?: string | null
}

/** The source of results: the database in a process, a map in a test. */
export interface ResultBackend {
  find(id: string): Promise<StoredResult | undefined>
  /** Waits for the final result. Returns undefined if `signal` aborts first. */
  wait(id: string, signal: AbortSignal): Promise<StoredResult | undefined>
  forget(id: string): Promise<void>
}

/** Results, and the operations on many ids that groups need. */
export interface GroupBackend extends ResultBackend {
  /** Returns the ids of the members of a group that was sent; undefined if the group is unknown or forgotten. */
  group(id: string): Promise<readonly string[] | undefined>
  /** Returns the states of those ids that are known. */
  states(ids: readonly string[]): Promise<readonly State[]>
  revoke(unwanted: { readonly ids: readonly string[] }, options?: { readonly terminate?: boolean | undefined }): Promise<unknown>
}
