import type { LogLine } from '../../app/effects.ts'
import type { Outcome } from '../../app/outcome.ts'
import type { Task } from '../../app/task.ts'
import type { TaskContext } from '../../app/task-context.ts'
import type { Delivery } from '../../broker/broker.ts'
import type { Log } from '../../log.ts'
import type { Body, Message } from '../../message/message.ts'

// The interfaces that the executor needs. Each is implemented in a file of its own. A part that is missing costs no time.

/** One attempt that is about to run. */
export interface TaskRun {
  readonly task: Task
  readonly delivery: Delivery
  readonly body: Body
  readonly context: TaskContext
  /** Called when the code begins, if `Runner.waits` is true for the task: its time limits count from that moment. */
  readonly begun?: (() => void) | undefined
}

/** Runs code on the event loop of this process, or in a thread. */
export interface Runner {
  /** Returns true if the task may have to wait for a thread. `TaskRun.begun` is then called when it has a thread. HOT. */
  waits(task: Task): boolean
  run(run: TaskRun): Promise<unknown>
  /**
   * Called when the attempt is over although its code may still run. Ends the code if it runs in a thread; code on the event
   * loop cannot be stopped.
   * @returns true if the code is ended
   */
  abandon(run: TaskRun): boolean
  close(): Promise<void>
}

/**
 * The time at which a rate limit lets a message run. undefined: now. A Date: at that time, which is reserved for the message.
 * `expired`: only after the message expires, so nothing is reserved.
 */
export type Permit = Date | 'expired' | undefined

/** Rate limits. */
export interface Limiter {
  admit(message: Message, task: Task): Permit | Promise<Permit>
  /**
   * Changes the rate limit of a task in this worker. null, 0 or an empty text removes it. Permits that were already given stay
   * valid.
   * @throws AppError TASK_OPTION_INVALID
   */
  set(task: Task, limit: string | number | null): void
}

/** The log lines and progress of one run. Created when the run first reports something, so that silent tasks cost nothing. */
export interface RunReport {
  readonly log: Log
  progress(n: number, of?: number, note?: string): void
  /**
   * Ends the report.
   * @returns the log lines and progress that are not written yet and must be written with the outcome; undefined if there are
   * none
   */
  end(): { readonly logs: readonly LogLine[]; readonly progress: string | undefined } | undefined
}

export interface Reporter {
  begin(message: Message): RunReport
}

/** Finds a blocked event loop, and ends tasks that block it past their hard limit. */
export interface LoopWatch {
  /** A task begins. @param hardLimitMs milliseconds until the attempt must be over; undefined: no limit */
  begun(delivery: Delivery, hardLimitMs: number | undefined): void
  ended(delivery: Delivery): void
}

/** Receives the start and end of each task, for events and statistics. HOT: called for each task. Must not throw. */
export interface WorkerObserver {
  received(deliveries: readonly Delivery[]): void
  started(delivery: Delivery): void
  ended(delivery: Delivery, outcome: Outcome): void
}
