import { AppError } from '../errors.ts'
import { READY_STATES, type State } from './outcome.ts'
import type { Child } from './plan.ts'

/** A stored outcome, as read from the results table. */
export interface StoredResult {
  readonly id: string
  readonly task: string
  readonly state: State
  /** The value, or `{exc_type, exc_message, exc_module}` of FAILURE, RETRY and REVOKED. */
  readonly result: unknown
  readonly traceback: string | null
  readonly queue: string | null
  readonly worker: string | null
  readonly retries: number
  /** What the task was called with, where it was sent from the console; null where only its message knew. */
  readonly args: readonly unknown[] | null
  readonly createdAt: Date
  readonly startedAt: Date | null
  readonly doneAt: Date | null
  /** RETRY: when it runs again. Absent, as all that follows, where a result was not asked for by its id. */
  readonly nextAt?: Date | null
  /** The end of the task's own TTL; null where RESULT_TTL decides. */
  readonly expiresAt?: Date | null
  readonly parentId?: string | null
  readonly rootId?: string | null
  /** What the task sent: ids, and groups. */
  readonly children?: readonly Child[]
  /** What it said last with `ctx.progress`. */
  readonly progress?: Progress | null
}

export interface Progress {
  readonly n: number
  readonly of?: number | null
  readonly note?: string | null
}

/** Where results are read: the database in a process, a map in a test. */
export interface ResultBackend {
  find(id: string): Promise<StoredResult | undefined>
  /** Resolves with the final result, or with undefined when `signal` aborts first. */
  wait(id: string, signal: AbortSignal): Promise<StoredResult | undefined>
  forget(id: string): Promise<void>
}

/** The task ended in FAILURE or REVOKED: what its worker recorded. */
export class TaskError extends Error {
  override readonly name: string = 'TaskError'
  readonly taskId: string
  readonly state: State
  /** Class name of the exception in the worker, such as `TypeError`. */
  readonly excType: string
  /** Stack of the worker, if any. */
  readonly traceback: string | null

  constructor(stored: StoredResult) {
    const { exc_type = 'Error', exc_message = '' } = (stored.result ?? {}) as { exc_type?: string; exc_message?: unknown }
    const said = Array.isArray(exc_message) ? exc_message.map(String).join(', ') : String(exc_message)
    super(`${stored.task}[${stored.id}] ended as ${stored.state}: ${exc_type}: ${said}`)
    this.taskId = stored.id
    this.state = stored.state
    this.excType = exc_type
    this.traceback = stored.traceback
  }
}

/** A handle on one run of a task, by its id; Celery's AsyncResult. */
export interface AsyncResult<Result = unknown> {
  readonly id: string
  /** The call found the same work queued or running (`unique`), and this is the handle of that. */
  readonly deduplicated?: boolean
  /** PENDING also means that nothing is known of this id. */
  state(): Promise<State>
  /** The whole stored row; undefined when nothing is known. */
  info(): Promise<StoredResult | undefined>
  /** Has it ended, in whatever way? */
  ready(): Promise<boolean>
  successful(): Promise<boolean>
  /**
   * The value, as soon as there is one: woken by the database, not by asking again and again.
   * @throws TaskError when the task failed or was revoked; AppError RESULT_TIMEOUT after `timeoutMs` milliseconds (default: for ever)
   */
  get(options?: { timeoutMs?: number; signal?: AbortSignal }): Promise<Result>
  /** Deletes what is stored. */
  forget(): Promise<void>
}

/** A handle that reads through `connect()`, which opens the connections of the process when first used. */
export function createAsyncResult<Result>(id: string, connect: () => Promise<ResultBackend>): AsyncResult<Result> {
  const info = async () => (await connect()).find(id)
  const state = async (): Promise<State> => (await info())?.state ?? 'PENDING'
  return {
    id,
    info,
    state,
    ready: async () => READY_STATES.has(await state()),
    successful: async () => (await state()) === 'SUCCESS',
    async get({ timeoutMs, signal } = {}) {
      const signals = [
        ...(signal === undefined ? [] : [signal]),
        ...(timeoutMs === undefined ? [] : [AbortSignal.timeout(timeoutMs)]),
      ]
      const stored = await (await connect()).wait(id, AbortSignal.any(signals))
      if (stored === undefined) {
        signal?.throwIfAborted()
        throw new AppError('RESULT_TIMEOUT', `${id} has not ended within ${timeoutMs} ms`)
      }
      if (stored.state !== 'SUCCESS') throw new TaskError(stored)
      return stored.result as Result
    },
    forget: async () => (await connect()).forget(id),
  }
}
