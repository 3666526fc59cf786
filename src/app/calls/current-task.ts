import { AsyncLocalStorage } from 'node:async_hooks'
import type { Child } from '../effects.ts'

/** The task that runs in the current asynchronous context. Each task that its code sends becomes its child. */
export interface CurrentTask {
  readonly id: string
  readonly rootId: string
  /** Headers that its children inherit, such as `traceparent`; undefined if there are none. */
  readonly inherited: Readonly<Record<string, unknown>> | undefined
  /** Called after this task has sent a task or a group. */
  sent(child: Child): void
}

const SHARED = Symbol.for('onedyno.currentTask')
const shared = globalThis as { [SHARED]?: AsyncLocalStorage<CurrentTask> }
shared[SHARED] ??= new AsyncLocalStorage<CurrentTask>()

/** Shared by all copies of this package in the process, because the application may import another copy than the worker. */
export const currentTask: AsyncLocalStorage<CurrentTask> = shared[SHARED]
