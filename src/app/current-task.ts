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

export const currentTask = new AsyncLocalStorage<CurrentTask>()
