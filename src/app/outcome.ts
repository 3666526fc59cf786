/** Celery's states (celery/states.py). */
export const STATES = ['PENDING', 'RECEIVED', 'STARTED', 'SUCCESS', 'FAILURE', 'RETRY', 'REVOKED'] as const
export type State = (typeof STATES)[number]

/** The final states. A result in a final state is never overwritten. */
export const READY_STATES: ReadonlySet<State> = new Set<State>(['SUCCESS', 'FAILURE', 'REVOKED'])

/** The stored state of a task: how it ended, or that it is running. `result` and `traceback` are encoded already. */
export interface Outcome {
  readonly id: string
  readonly task: string
  readonly state: State
  /** The value as JSON. For FAILURE, RETRY and REVOKED: `{exc_type, exc_message, exc_module}`. */
  readonly result: string | null
  readonly traceback: string | null
  readonly queue: string
  readonly retries: number
  /** Milliseconds since the epoch; null if the task never started. */
  readonly startedAt: number | null
  /** Milliseconds since the epoch; null while the task runs. */
  readonly doneAt: number | null
}

/** An exception in Celery's encoding. Python clients convert it to an exception of the same name. */
export interface EncodedException {
  readonly exc_type: string
  readonly exc_message: readonly unknown[]
  readonly exc_module: string
}
