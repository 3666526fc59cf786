import type { LogLine } from '../../app/effects.ts'
import type { Outcome } from '../../app/outcome.ts'
import type { Task } from '../../app/task.ts'
import type { TaskContext } from '../../app/task-context.ts'
import type { Delivery } from '../../broker/broker.ts'
import type { Log } from '../../log.ts'
import type { Body, Message } from '../../message/message.ts'

// The interfaces that the executor needs. Each has its implementation in a file of its own. A missing part costs nothing.

/** One attempt that is about to run. */
export interface TaskRun {
  readonly task: Task
  readonly delivery: Delivery
  readonly body: Body
  readonly context: TaskContext
  /** Called when the code begins, if the runner `waits`: its time limits count from then. */
  readonly begun?: (() => void) | undefined
}

/** Where code runs: on the event loop of this process, or in a thread. */
export interface Runner {
  /** Can this task have to wait for a thread? Then `TaskRun.begun` is called when it has one. HOT. */
  waits(task: Task): boolean
  run(run: TaskRun): Promise<unknown>
  /**
   * The attempt is over although its code may still run: a thread is ended, code on the event loop can only be left alone.
   * @returns true if the code is ended
   */
  abandon(run: TaskRun): boolean
  close(): Promise<void>
}

/**
 * When a rate limit lets a message run. undefined: now. A Date: then, and this moment is reserved for the message. `expired`: only after
 * the message expires, so nothing is reserved.
 */
export type Permit = Date | 'expired' | undefined

/** Rate limits. */
export interface Limiter {
  admit(message: Message, task: Task): Permit | Promise<Permit>
  /**
   * Sets another limit for a task in this worker. null, 0 or an empty text: none. Permits that were given stay valid.
   * @throws AppError TASK_OPTION_INVALID
   */
  set(task: Task, limit: string | number | null): void
}

/** Log lines and progress of one run. Created by the first of them, so that silent tasks cost nothing. */
export interface RunReport {
  readonly log: Log
  progress(n: number, of?: number, note?: string): void
  /** The run is over. @returns what is not written yet and must be written with the outcome. undefined: nothing */
  end(): { readonly logs: readonly LogLine[]; readonly progress: string | undefined } | undefined
}

export interface Reporter {
  begin(message: Message): RunReport
}

/** Finds a blocked event loop, and ends tasks that block it past their hard limit. */
export interface LoopWatch {
  /** @param hardLimitMs milliseconds until the attempt must be over. undefined: no limit */
  begun(delivery: Delivery, hardLimitMs: number | undefined): void
  ended(delivery: Delivery): void
}

/** Receives what happens to tasks, for events and statistics. HOT: called for each task. Must not throw. */
export interface WorkerObserver {
  received(deliveries: readonly Delivery[]): void
  started(delivery: Delivery): void
  ended(delivery: Delivery, outcome: Outcome): void
}
