import type { Config } from '../config.ts'

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
}

/** What is recorded of a task that has to be ended with its process. */
export interface Guarded {
  readonly id: string
  readonly task: string
  readonly queue: string
  readonly retries: number
  /** Milliseconds since the epoch. */
  readonly startedAt: number
  readonly limitMs: number
}

export type WatchdogMessage =
  | { readonly tag: 'begun'; readonly key: number; readonly leftMs: number; readonly task: Guarded }
  | { readonly tag: 'ended'; readonly key: number }
