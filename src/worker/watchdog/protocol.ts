import type { TaskDefaults } from '../../app/canvas/signature-message.ts'
import type { Config } from '../../config.ts'
import type { Message } from '../../message/message.ts'

/** Indexes of the shared numbers. */
export const BEAT = 0
export const CURRENT = 1
/**
 * Special values of CURRENT: no task is known to block the loop, or a task without a hard limit blocks it. Any other value is
 * the key of a task.
 */
export const NOBODY = 0
export const UNLIMITED = -1

export interface WatchdogData {
  readonly shared: Int32Array
  readonly config: Config
  readonly name: string
  readonly blockedMs: number
  /** Queue and priority of each task by name, for the messages that are sent after a failure. */
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
  /** The outcome is stored but the code still runs: code on the event loop cannot be stopped. */
  | { readonly tag: 'overdue'; readonly key: number }
  | { readonly tag: 'ended'; readonly key: number }
