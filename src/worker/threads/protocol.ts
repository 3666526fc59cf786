import type { RetryOptions, TaskContext } from '../../app/task-context.ts'
import type { Config } from '../../config.ts'
import type { Carried } from './thrown.ts'

/** The start data of a thread. */
export interface ThreadData {
  readonly config: Config
  /** The module that exports the application. undefined: the thread has only the tasks that onedyno ships. */
  readonly appModule: string | undefined
  /** Names of the main thread's functions that a thread can call (`call`). */
  readonly methods: readonly string[]
}

/** One attempt that starts in a thread. */
export interface ThreadStart {
  readonly run: number
  readonly args: readonly unknown[]
  readonly context: Omit<TaskContext, 'signal' | 'log' | 'progress' | 'retry'>
  /** Headers that the children of this task inherit; undefined if there are none. */
  readonly inherited: Readonly<Record<string, unknown>> | undefined
}

/** Messages from a thread. Each thread has its own port, which keeps their order. */
export type FromThread =
  | { readonly tag: 'begun'; readonly run: number }
  /** A JSON line of pino. An undefined `run` means that the line belongs to no task. */
  | { readonly tag: 'log'; readonly run: number | undefined; readonly line: string }
  | {
      readonly tag: 'progress'
      readonly run: number
      readonly n: number
      readonly of: number | undefined
      readonly note: string | undefined
    }
  | { readonly tag: 'sent'; readonly run: number; readonly child: string | { readonly group: string } }
  | { readonly tag: 'done'; readonly run: number; readonly value: unknown }
  | { readonly tag: 'threw'; readonly run: number; readonly thrown: Carried }
  /** The task called `context.retry`. */
  | { readonly tag: 'retry'; readonly run: number; readonly options: CarriedRetry }
  /** An unhandled rejection happened in the thread. */
  | { readonly tag: 'rejection'; readonly thrown: Carried }
  | { readonly tag: 'call'; readonly call: number; readonly method: string; readonly args: readonly Argument[] }
  /** The AbortSignal that was passed to a call has aborted. */
  | { readonly tag: 'cancel'; readonly call: number }
  | Answer

/** Messages from the main thread to a thread. */
export type ToThread =
  | { readonly tag: 'abort'; readonly run: number; readonly reason: Carried }
  /** A statement to run on the connection that a task passed as `transaction`. This connection exists only in the thread. */
  | {
      readonly tag: 'query'
      readonly query: number
      readonly call: number
      readonly text: string
      readonly values: readonly unknown[]
    }
  | Answer

/** The answer to a `call` or a `query`. */
export type Answer =
  | { readonly tag: 'answer'; readonly to: number; readonly value: unknown }
  | { readonly tag: 'refused'; readonly to: number; readonly thrown: Carried }

/**
 * An argument of a call. Signals and connections cannot be cloned, so the main thread gets an object that stands for them and
 * exchanges messages with the thread.
 */
export type Argument =
  | { readonly kind: 'plain'; readonly value: unknown }
  | { readonly kind: 'signal'; readonly aborted: boolean }
  | { readonly kind: 'client' }

export type CarriedRetry = Omit<RetryOptions, 'error'> & { readonly error?: Carried }
