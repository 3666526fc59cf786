import { AppError } from '../../errors.ts'
import { READY_STATES, type State } from '../outcome.ts'
import { createGroupResult } from './group-result.ts'
import type { AsyncResult, GroupResult } from './handles.ts'
import type { GroupBackend } from './stored-result.ts'
import { TaskError } from './task-error.ts'
import { createWaitSignal } from './wait-signal.ts'

/**
 * Creates a handle that reads results through `connect()`. The first call of `connect()` opens the connections of the process.
 */
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
      using waiting = createWaitSignal({ timeoutMs, signal })
      const stored = await (await connect()).wait(id, waiting.signal)
      if (stored === undefined) {
        signal?.throwIfAborted()
        throw new AppError('RESULT_TIMEOUT', `task ${id} has not ended within ${timeoutMs} ms`)
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

/** Returns the handle of a group that was sent; undefined if the group is unknown or forgotten. */
export async function findGroupResult(id: string, connect: () => Promise<GroupBackend>): Promise<GroupResult | undefined> {
  const members = await (await connect()).group(id)
  if (members === undefined) return undefined
  return createGroupResult({ id, results: members.map((member) => createAsyncResult(member, connect)) }, connect)
}

function rootOf(result: AsyncResult | GroupResult): AsyncResult | GroupResult {
  return result.parent === undefined ? result : rootOf(result.parent)
}
