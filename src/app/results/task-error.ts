import type { State } from '../outcome.ts'
import type { StoredResult } from './stored-result.ts'

/** The error of a task that ended as FAILURE or REVOKED, made from its stored result. */
export class TaskError extends Error {
  override readonly name: string = 'TaskError'
  readonly taskId: string
  readonly state: State
  /** Class name of the exception in the worker, such as `TypeError`. */
  readonly excType: string
  /** The stack trace in the worker; null if none was stored. */
  readonly traceback: string | null

  constructor(stored: StoredResult) {
    const { exc_type = 'Error', exc_message = '' } = (stored.result ?? {}) as { exc_type?: string; exc_message?: unknown }
    const said = Array.isArray(exc_message) ? exc_message.map(String).join(', ') : String(exc_message)
    super(`${stored.task}[${stored.id}] ended as ${stored.state}: ${exc_type}: ${said}`)
    this.taskId = stored.id
    this.state = stored.state
    this.excType = exc_type
    this.traceback = stored.traceback
  }
}
