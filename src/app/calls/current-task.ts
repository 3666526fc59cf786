import { AsyncLocalStorage } from 'node:async_hooks'

/** The task that runs in the current asynchronous context: what it sends becomes its child. */
export interface CurrentTask {
  readonly id: string
  readonly rootId: string
  /** Headers that its children inherit, such as `traceparent`. */
  readonly inherited: Readonly<Record<string, unknown>> | undefined
  /** Told of each task that was sent from here. */
  sent(child: string | { readonly group: string }): void
}

const SHARED = Symbol.for('onedyno.currentTask')
const place = globalThis as { [SHARED]?: AsyncLocalStorage<CurrentTask> }
place[SHARED] ??= new AsyncLocalStorage<CurrentTask>()

/** One for the whole process: the application may come from another copy of this package than the worker that runs it. */
export const currentTask: AsyncLocalStorage<CurrentTask> = place[SHARED]
