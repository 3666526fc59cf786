import type { RetryOptions, TaskContext } from '../../app/task-context.ts'
import type { Config } from '../../config.ts'
import type { Carried } from './thrown.ts'

/** What a thread is started with. */
export interface ThreadData {
  readonly config: Config
  /** The module that exports the application; undefined: the shipped tasks alone. */
  readonly appModule: string | undefined
  /** Names of the functions that the main thread answers for (`call`). */
  readonly methods: readonly string[]
}

/** One attempt, on its way into a thread. */
export interface ThreadStart {
  readonly run: number
  readonly args: readonly unknown[]
  readonly context: Omit<TaskContext, 'signal' | 'log' | 'progress' | 'retry'>
  /** Headers that the children of this task get. */
  readonly inherited: Readonly<Record<string, unknown>> | undefined
}

/** What a thread says, on a port of its own, in this order. */
export type FromThread =
  | { readonly tag: 'begun'; readonly run: number }
  /** A line of pino in JSON; without `run` it is nobody's. */
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
  /** A promise that nobody awaited was rejected. */
  | { readonly tag: 'rejection'; readonly thrown: Carried }
  | { readonly tag: 'call'; readonly call: number; readonly method: string; readonly args: readonly Argument[] }
  /** The signal among the arguments of a call has aborted. */
  | { readonly tag: 'cancel'; readonly call: number }
  | Answer

/** What the main thread says to a thread. */
export type ToThread =
  | { readonly tag: 'abort'; readonly run: number; readonly reason: Carried }
  /** A statement for the connection that a task gave as `transaction`: it lives in the thread. */
  | {
      readonly tag: 'query'
      readonly query: number
      readonly call: number
      readonly text: string
      readonly values: readonly unknown[]
    }
  | Answer

/** To a `call` or to a `query`. */
export type Answer =
  | { readonly tag: 'answer'; readonly to: number; readonly value: unknown }
  | { readonly tag: 'refused'; readonly to: number; readonly thrown: Carried }

/** Signals and connections stay where they are: the other side gets one that speaks to them. */
export type Argument =
  | { readonly kind: 'plain'; readonly value: unknown }
  | { readonly kind: 'signal'; readonly aborted: boolean }
  | { readonly kind: 'client' }

export type CarriedRetry = Omit<RetryOptions, 'error'> & { readonly error?: Carried }
