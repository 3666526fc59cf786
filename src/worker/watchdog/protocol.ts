import type { TaskDefaults } from '../../app/canvas/signature-message.ts'
import type { Config } from '../../config.ts'
import type { Message } from '../../message/message.ts'

/** Places in the shared numbers. */
export const BEAT = 0
export const CURRENT = 1
/** Values of CURRENT beside the key of a task: nobody is known to have the loop, or a task without a hard limit has it. */
export const NOBODY = 0
export const UNLIMITED = -1

export interface WatchdogData {
  readonly shared: Int32Array
  readonly config: Config
  readonly name: string
  readonly blockedMs: number
  /** What the application says of its tasks, for those that follow from a failure. */
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
  /** Its outcome is recorded, and its code still runs: nobody can stop that on the event loop. */
  | { readonly tag: 'overdue'; readonly key: number }
  | { readonly tag: 'ended'; readonly key: number }
