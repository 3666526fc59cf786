import type { TraceHeaders } from '../../app/calls/tracing.ts'
import type { LogLine } from '../../app/effects.ts'
import type { Task } from '../../app/task.ts'
import type { TaskContext } from '../../app/task-context.ts'
import type { Delivery } from '../../broker/broker.ts'
import type { Log } from '../../log.ts'
import type { Body, Message } from '../../message/message.ts'

/** What the executor asks of its neighbours, each of them a file of its own; absent ones cost nothing. */

/** One attempt, about to run. */
export interface TaskRun {
  readonly task: Task
  readonly delivery: Delivery
  readonly body: Body
  readonly context: TaskContext
  /** Called when its code begins, if the runner `waits`: its time counts from then. */
  readonly begun?: (() => void) | undefined
}

/** Where code runs: on the event loop of this process, or in a thread. */
export interface Runner {
  /** May this task have to wait for a place, a thread? Then `TaskRun.begun` says when it got one. HOT. */
  waits(task: Task): boolean
  run(run: TaskRun): Promise<unknown>
  /**
   * The run is over for the worker, whatever its code still does: a thread is ended, code on the event loop can only be left alone.
   * @returns true when its code is ended
   */
  abandon(run: TaskRun): boolean
  close(): Promise<void>
}

/** When a message may run: undefined: now; a Date: then, and its place in time is taken; `expired`: not before it expires, and it takes none. */
export type Place = Date | 'expired' | undefined

/** Rate limits. */
export interface Limiter {
  admit(message: Message, task: Task): Place | Promise<Place>
  /**
   * Another limit for a task in this worker; null, 0 or an empty text: none. Places that are taken already stay where they are.
   * @throws AppError TASK_OPTION_INVALID
   */
  set(task: Task, limit: string | number | null): void
}

/** What a run says about itself while it runs: made at the first word, so that silent tasks pay nothing. */
export interface RunReport {
  readonly log: Log
  progress(n: number, of?: number, note?: string): void
  /** The run is over: what it said last and is not written yet, to be written with its outcome; undefined: nothing. */
  end(): { readonly logs: readonly LogLine[]; readonly progress: string | undefined } | undefined
}

export interface Reporter {
  begin(message: Message): RunReport
}

/** Spans and their propagation. */
export interface Tracing {
  /** Runs the work inside a span of its own when somebody has brought a tracer; else just runs it. */
  run<T>(message: Message, work: () => Promise<T>): Promise<T>
  /** Headers that the children of this message get; undefined: none. */
  inherited(message: Message): TraceHeaders | undefined
}

/** Looks for a blocked event loop, and ends what does not end itself. */
export interface LoopWatch {
  /** @param hardLimitMs when the run must be over; undefined: no limit */
  begun(delivery: Delivery, hardLimitMs: number | undefined): void
  ended(delivery: Delivery): void
}
