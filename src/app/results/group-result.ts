import { AppError } from '../../errors.ts'
import { READY_STATES, type State } from '../outcome.ts'
import type { AsyncResult, Completed, GroupResult, WaitOptions } from './handles.ts'
import type { GroupBackend, StoredResult } from './stored-result.ts'
import { TaskError } from './task-error.ts'
import { createWaitSignal } from './wait-signal.ts'

export interface GroupParts {
  readonly id: string
  readonly results: readonly AsyncResult[]
  readonly parent?: AsyncResult | GroupResult | undefined
}

export function createGroupResult<Results extends unknown[]>(
  { id, results, parent }: GroupParts,
  connect: () => Promise<GroupBackend>,
): GroupResult<Results> {
  const ids = results.map((result) => result.id)
  const distinct = [...new Set(ids)]
  const states = async (): Promise<readonly State[]> => (distinct.length === 0 ? [] : (await connect()).states(distinct))
  const countOf = async (state: (state: State) => boolean) => (await states()).filter(state).length

  const iterate = (options?: WaitOptions) => iterateMembers({ id, ids }, connect, options)

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

/** Yields the members in the order in which they end. */
async function* iterateMembers(
  { id, ids }: { readonly id: string; readonly ids: readonly string[] },
  connect: () => Promise<GroupBackend>,
  { timeoutMs, signal }: WaitOptions = {},
): AsyncGenerator<Completed, void, void> {
  if (ids.length === 0) return
  using waiting = createWaitSignal({ timeoutMs, signal })
  const done = new AbortController()
  const inTime = AbortSignal.any([done.signal, waiting.signal])
  const backend = await connect()
  const arrivals = createArrivals<{ stored: StoredResult | undefined; index: number }>()
  for (const [index, member] of ids.entries())
    void backend.wait(member, inTime).then((stored) => arrivals.add({ stored, index }), arrivals.fail)
  try {
    for (let count = 0; count < ids.length; count++) {
      const { stored, index } = await arrivals.next()
      if (stored === undefined) {
        signal?.throwIfAborted()
        throw new AppError('RESULT_TIMEOUT', `${ids.length - count} members of group ${id} have not ended within ${timeoutMs} ms`)
      }
      yield completed(stored, index)
    }
  } finally {
    done.abort()
  }
}

const isSuccess = (state: State) => state === 'SUCCESS'

const completed = (stored: StoredResult, index: number): Completed =>
  stored.state === 'SUCCESS'
    ? { index, id: stored.id, state: stored.state, value: stored.result }
    : { index, id: stored.id, state: stored.state, error: new TaskError(stored) }

/**
 * Creates a queue of values for one reader, which waits for the next value. A failure reaches the reader only after the values
 * that arrived before it.
 */
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
