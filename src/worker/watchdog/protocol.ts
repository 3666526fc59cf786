import type { TaskDefaults } from '../../app/canvas/signature-message.ts'
import type { Config } from '../../config.ts'
import type { Message } from '../../message/message.ts'

/** Indexes of the shared numbers. */
export const BEAT = 0
export const CURRENT = 1
/** Values of CURRENT other than the key of a task: no task is known to block the loop, or a task without a hard limit does. */
export const NOBODY = 0
export const UNLIMITED = -1

export interface WatchdogData {
  readonly shared: Int32Array
  readonly config: Config
  readonly name: string
  readonly blockedMs: number
  /** Options of the tasks, for the messages that a failure sends. */
  readonly routes: Readonly<Record<string, TaskDefaults>>
}

/** A task with a hard limit that runs on the event loop. */
export interface Guarded {
  readonly message: Message
  /** Milliseconds since the epoch. */
  readonly startedAt: number
  readonly limitMs: number
}

export type WatchdogMessage =
  | { readonly tag: 'begun'; readonly key: number; readonly task: Guarded }
  /** The outcome is stored and the code still runs. On the event loop it cannot be stopped. */
  | { readonly tag: 'overdue'; readonly key: number }
  | { readonly tag: 'ended'; readonly key: number }
