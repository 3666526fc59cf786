import { AsyncLocalStorage } from 'node:async_hooks'
import type { Child } from '../effects.ts'

/** The task that runs in the current asynchronous context. A task that is sent from there becomes its child. */
export interface CurrentTask {
  readonly id: string
  readonly rootId: string
  /** Headers that its children inherit, such as `traceparent`. */
  readonly inherited: Readonly<Record<string, unknown>> | undefined
  /** Called after each task or group that was sent from here. */
  sent(child: Child): void
}

const SHARED = Symbol.for('onedyno.currentTask')
const shared = globalThis as { [SHARED]?: AsyncLocalStorage<CurrentTask> }
shared[SHARED] ??= new AsyncLocalStorage<CurrentTask>()

/** Shared by the whole process, because the application may import another copy of this package than the worker. */
export const currentTask: AsyncLocalStorage<CurrentTask> = shared[SHARED]
