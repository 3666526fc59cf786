import { AppError } from '../../errors.ts'
import { READY_STATES, type State } from '../outcome.ts'
import type { AsyncResult, ResultBackend, StoredResult } from './async-result.ts'
import { patienceOf } from './patience.ts'
import { TaskError } from './task-error.ts'

/** One member of a group that has ended. */
export interface Completed<Value = unknown> {
  /** Its place in the group. */
  readonly index: number
  readonly id: string
  readonly state: State
  /** Of SUCCESS. */
  readonly value?: Value
  /** Of FAILURE and REVOKED. */
  readonly error?: TaskError
}

export interface WaitOptions {
  /** Milliseconds. Default: for ever. */
  readonly timeoutMs?: number | undefined
  readonly signal?: AbortSignal | undefined
}

/** A handle on the runs of a group; Celery's GroupResult. It is stored when its group is sent: `app.groupResult(id)` finds it again. */
export interface GroupResult<Results extends unknown[] = unknown[]> {
  readonly id: string
  /** Of its members, in their order. */
  readonly results: { [Index in keyof Results]: AsyncResult<Results[Index]> }
  /** What ran before it; undefined when nothing did, or nothing is known of it. */
  readonly parent: AsyncResult | GroupResult | undefined
  /** Have all of them ended, in whatever way? */
  ready(): Promise<boolean>
  /** Have all of them succeeded? */
  successful(): Promise<boolean>
  /** Has any of them failed, or been revoked? */
  failed(): Promise<boolean>
  /** How many have succeeded. */
  completedCount(): Promise<number>
  /**
   * The results, in the order of the members, as soon as all are there.
   * @throws TaskError of the first member that fails, at once; AppError RESULT_TIMEOUT after `timeoutMs` milliseconds
   */
  get(options?: WaitOptions): Promise<Results>
  /** Members as they end, whichever is first; none throws. @throws AppError RESULT_TIMEOUT after `timeoutMs` milliseconds */
  iterate(options?: WaitOptions): AsyncGenerator<Completed<Results[number]>, void, void>
  /** Deletes what is stored of the members. */
  forget(): Promise<void>
  /** None of them is wanted any more. `terminate`: aborts those that run. */
  revoke(options?: { readonly terminate?: boolean }): Promise<void>
}

export interface GroupParts {
  readonly id: string
  readonly results: readonly AsyncResult[]
  readonly parent?: AsyncResult | GroupResult | undefined
}

/** What groups need besides: many ids at once. */
export interface GroupBackend extends ResultBackend {
  /** Ids of the members of a group that was sent; undefined when it is not known, or not any more. */
  group(id: string): Promise<readonly string[] | undefined>
  /** The states of those that are known. */
  states(ids: readonly string[]): Promise<readonly State[]>
  revoke(unwanted: { readonly ids: readonly string[] }, options?: { readonly terminate?: boolean | undefined }): Promise<unknown>
}

export function createGroupResult<Results extends unknown[]>(
  { id, results, parent }: GroupParts,
  connect: () => Promise<GroupBackend>,
): GroupResult<Results> {
  const ids = results.map((result) => result.id)
  const distinct = [...new Set(ids)]
  const states = async (): Promise<readonly State[]> => (distinct.length === 0 ? [] : (await connect()).states(distinct))
  const countOf = async (state: (state: State) => boolean) => (await states()).filter(state).length

  const iterate = async function* ({ timeoutMs, signal }: WaitOptions = {}): AsyncGenerator<Completed, void, void> {
    if (ids.length === 0) return
    using patience = patienceOf({ timeoutMs, signal })
    const done = new AbortController()
    const inTime = AbortSignal.any([done.signal, patience.signal])
    const backend = await connect()
    const arrivals = createArrivals<{ stored: StoredResult | undefined; index: number }>()
    for (const [index, member] of ids.entries())
      void backend.wait(member, inTime).then((stored) => arrivals.add({ stored, index }), arrivals.fail)
    try {
      for (let count = 0; count < ids.length; count++) {
        const { stored, index } = await arrivals.next()
        if (stored === undefined) {
          signal?.throwIfAborted()
          throw new AppError('RESULT_TIMEOUT', `${ids.length - count} of group ${id} have not ended within ${timeoutMs} ms`)
        }
        yield completed(stored, index)
      }
    } finally {
      done.abort()
    }
  }

  return {
    id,
    results: results as never,
    parent,
    ready: async () => (await countOf((state) => READY_STATES.has(state))) === distinct.length,
    successful: async () => (await countOf(isSuccess)) === distinct.length,
    failed: async () => (await countOf((state) => READY_STATES.has(state) && !isSuccess(state))) > 0,
    completedCount: () => countOf(isSuccess),
    iterate: iterate as GroupResult<Results>['iterate'],
    async get(options) {
      const values: unknown[] = ids.map(() => undefined)
      for await (const { index, value, error } of iterate(options)) {
        if (error !== undefined) throw error
        values[index] = value
      }
      return values as Results
    },
    async forget() {
      const backend = await connect()
      await Promise.all(distinct.map((member) => backend.forget(member)))
    },
    async revoke(options) {
      if (distinct.length > 0) await (await connect()).revoke({ ids: distinct }, options)
    },
  }
}

const isSuccess = (state: State) => state === 'SUCCESS'

const completed = (stored: StoredResult, index: number): Completed =>
  stored.state === 'SUCCESS'
    ? { index, id: stored.id, state: stored.state, value: stored.result }
    : { index, id: stored.id, state: stored.state, error: new TaskError(stored) }

/** What arrives, in its order, for one who waits for the next. */
function createArrivals<T>() {
  const arrived: T[] = []
  let failure: { readonly error: unknown } | undefined
  let wake = () => {}
  return {
    add(value: T) {
      arrived.push(value)
      wake()
    },
    fail(error: unknown) {
      failure ??= { error }
      wake()
    },
    async next(): Promise<T> {
      while (arrived.length === 0) {
        if (failure !== undefined) throw failure.error
        await new Promise<void>((resolve) => {
          wake = resolve
        })
      }
      return arrived.shift()!
    },
  }
}
