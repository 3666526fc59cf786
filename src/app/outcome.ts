/** States as Celery's (reference/celery-protocol.md §0.2). */
export const STATES = ['PENDING', 'RECEIVED', 'STARTED', 'SUCCESS', 'FAILURE', 'RETRY', 'REVOKED'] as const
export type State = (typeof STATES)[number]

/** Final: a result in one of these is never overwritten. */
export const READY_STATES: ReadonlySet<State> = new Set<State>(['SUCCESS', 'FAILURE', 'REVOKED'])

/** How a task ended, or that it runs: ready to be stored, `result` and `traceback` are texts already. */
export interface Outcome {
  readonly id: string
  readonly task: string
  readonly state: State
  /** JSON; for FAILURE, RETRY and REVOKED `{exc_type, exc_message, exc_module}`. */
  readonly result: string | null
  readonly traceback: string | null
  readonly queue: string
  readonly retries: number
  /** Milliseconds since the epoch; null when the task was never started. */
  readonly startedAt: number | null
  /** Milliseconds since the epoch; null while it runs. */
  readonly doneAt: number | null
}

/** An exception as Celery encodes it, so that Python clients raise something alike. */
export interface EncodedException {
  readonly exc_type: string
  readonly exc_message: readonly unknown[]
  readonly exc_module: string
}
