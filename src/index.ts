/** The public API for authors of tasks. Everything else is internal and may change. */
import { type Backend, createRegistry, type App as Registry } from './app/app.ts'
import type { TestApp } from './testing/testing.ts'

export type { ApplyOptions, TransactionClient } from './app/apply-options.ts'
export type { Route, RouteTarget } from './app/calls/routes.ts'
export type { EnqueueItem, EnqueueItems, EnqueueResults } from './app/calls/sender.ts'
export { type ChainSignature, chain, chord, type GroupSignature, group } from './app/canvas/canvas.ts'
export type { AnySignature, SetOptions, TaskSignature } from './app/canvas/signature.ts'
export type { State } from './app/outcome.ts'
export type { AsyncResult, Completed, GroupResult } from './app/results/handles.ts'
export type { Progress, StoredResult } from './app/results/stored-result.ts'
export { TaskError } from './app/results/task-error.ts'
export type { Task } from './app/task.ts'
export type { TaskContext } from './app/task-context.ts'
export {
  Ignore,
  MaxRetriesExceededError,
  Reject,
  Retry,
  SoftTimeLimitExceeded,
  TimeLimitExceeded,
} from './app/task-errors.ts'
export type { BoundTaskOptions, TaskOptions, UniqueOptions } from './app/task-options.ts'
export { AppError, type ErrorCode } from './errors.ts'
export type { Log } from './log.ts'

export interface App extends Registry {
  /**
   * For tests: each call runs at once in this process, without a server, as with Celery's task_always_eager. For more control
   * use onedyno/testing.
   * @param options `propagate`: true makes a call reject with the TaskError of its run
   */
  eager(options?: { readonly propagate?: boolean }): Promise<TestApp>
}

/**
 * Creates an application. Register tasks on it and call them; `onedyno worker --app FILE` takes the module that exports it.
 * Outside a worker, the first task that is sent opens connections as the environment says (DATABASE_URL, …), and `close()`
 * closes them.
 */
export function createApp(): App {
  const app = createRegistry(openFromEnvironment)
  return Object.assign(app, {
    async eager(options = {}) {
      const { createTestApp } = await import('./testing/testing.ts')
      return createTestApp(app, { ...options, eager: true })
    },
  } satisfies Pick<App, 'eager'>)
}

async function openFromEnvironment(): Promise<Backend> {
  const { openBackend } = await import('./commands/open-backend.ts')
  return openBackend(process.env)
}
