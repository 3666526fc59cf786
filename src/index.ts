/** What a task author imports. This list is the public surface; everything else is internal and may change. */
import { type App, type Backend, createRegistry } from './app/app.ts'

export type { App } from './app/app.ts'
export type { AsyncResult, Progress, StoredResult } from './app/async-result.ts'
export { type ChainSignature, chain, chord, type GroupSignature, group } from './app/canvas.ts'
export type { Completed, GroupResult } from './app/group-result.ts'
export type { State } from './app/outcome.ts'
export type { AnySignature, SetOptions, TaskSignature } from './app/signature.ts'
export type { ApplyOptions, BoundTaskOptions, Task, TaskContext, TaskOptions, TransactionClient } from './app/task.ts'
export { TaskError } from './app/task-error.ts'
export {
  Ignore,
  MaxRetriesExceededError,
  Reject,
  Retry,
  SoftTimeLimitExceeded,
  TimeLimitExceeded,
} from './app/task-errors.ts'
export { AppError, type ErrorCode } from './errors.ts'
export type { Log } from './log.ts'

/**
 * An application: register tasks on it, call them, and give the module that exports it to `onedyno worker --app FILE`.
 * Outside a worker its connections are made from the environment (DATABASE_URL, …) when the first task is sent; `close()` ends them.
 */
export function createApp(): App {
  return createRegistry(openFromEnvironment)
}

async function openFromEnvironment(): Promise<Backend> {
  const { openBackend } = await import('./commands/open-backend.ts')
  return openBackend(process.env)
}
