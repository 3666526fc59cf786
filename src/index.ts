/** What a task author imports. This list is the public surface; everything else is internal and may change. */
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
   * For tests: calls run here and at once, without any server, as with Celery's task_always_eager; onedyno/testing has more of it.
   * @param options `propagate`: a call whose run fails rejects with its TaskError
   */
  eager(options?: { readonly propagate?: boolean }): Promise<TestApp>
}

/**
 * An application: register tasks on it, call them, and give the module that exports it to `onedyno worker --app FILE`.
 * Outside a worker its connections are made from the environment (DATABASE_URL, …) when the first task is sent; `close()` ends them.
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
