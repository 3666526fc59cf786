import { AppError } from '../../errors.ts'
import type { Child } from '../canvas/plan.ts'
import { READY_STATES, type State } from '../outcome.ts'
import { createGroupResult, type GroupBackend, type GroupResult } from './group-result.ts'
import { patienceOf } from './patience.ts'
import { TaskError } from './task-error.ts'

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
  /** It is not wanted any more. `terminate`: aborts it when it runs. */
  revoke(options?: { readonly terminate?: boolean }): Promise<void>
  /** What it said last with `ctx.progress`; undefined: nothing. */
  progress(): Promise<Progress | undefined>
  /** What it has sent, as far as it is known: tasks of its code, its callbacks, the next step of its chain. */
  children(): Promise<(AsyncResult | GroupResult)[]>
  /** What ran before it in its chain, or the header of its chord. Known to the handle that the composition was sent with. */
  readonly parent: AsyncResult | GroupResult | undefined
  /** The first of its parents; itself when it has none. */
  readonly root: AsyncResult | GroupResult
}

/** A handle that reads through `connect()`, which opens the connections of the process when first used. */
export function createAsyncResult<Result>(
  id: string,
  connect: () => Promise<GroupBackend>,
  parent?: AsyncResult | GroupResult,
): AsyncResult<Result> {
  const info = async () => (await connect()).find(id)
  const state = async (): Promise<State> => (await info())?.state ?? 'PENDING'
  const handle: AsyncResult<Result> = {
    id,
    info,
    state,
    parent,
    get root() {
      return parent === undefined ? handle : rootOf(parent)
    },
    ready: async () => READY_STATES.has(await state()),
    successful: async () => (await state()) === 'SUCCESS',
    async get({ timeoutMs, signal } = {}) {
      using patience = patienceOf({ timeoutMs, signal })
      const stored = await (await connect()).wait(id, patience.signal)
      if (stored === undefined) {
        signal?.throwIfAborted()
        throw new AppError('RESULT_TIMEOUT', `${id} has not ended within ${timeoutMs} ms`)
      }
      if (stored.state !== 'SUCCESS') throw new TaskError(stored)
      return stored.result as Result
    },
    forget: async () => (await connect()).forget(id),
    async revoke(options) {
      await (await connect()).revoke({ ids: [id] }, options)
    },
    progress: async () => (await info())?.progress ?? undefined,
    async children() {
      const backend = await connect()
      const found = ((await backend.find(id))?.children ?? []).map(async (child) =>
        typeof child === 'string' ? createAsyncResult(child, connect) : findGroupResult(child.group, connect),
      )
      return (await Promise.all(found)).filter((child) => child !== undefined)
    },
  }
  return handle
}

/** The handle of a group that was sent; undefined when nothing is known of it, or not any more. */
export async function findGroupResult(id: string, connect: () => Promise<GroupBackend>): Promise<GroupResult | undefined> {
  const members = await (await connect()).group(id)
  if (members === undefined) return undefined
  return createGroupResult({ id, results: members.map((member) => createAsyncResult(member, connect)) }, connect)
}

function rootOf(result: AsyncResult | GroupResult): AsyncResult | GroupResult {
  return result.parent === undefined ? result : rootOf(result.parent)
}
