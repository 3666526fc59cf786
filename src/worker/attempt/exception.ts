import type { EncodedException } from '../../app/outcome.ts'
import { SoftTimeLimitExceeded, TimeLimitExceeded } from '../../app/task-errors.ts'
import { AppError } from '../../errors.ts'

/** Names that Python knows under another name or module: its clients raise the class they expect (celery-protocol.md §3.1). */
const PYTHON: Readonly<Record<string, readonly [type: string, module: string]>> = {
  TypeError: ['TypeError', 'builtins'],
  RangeError: ['ValueError', 'builtins'],
  SyntaxError: ['ValueError', 'builtins'],
  ReferenceError: ['NameError', 'builtins'],
  Error: ['Exception', 'builtins'],
  NotRegistered: ['NotRegistered', 'celery.exceptions'],
  InvalidTaskError: ['InvalidTaskError', 'celery.exceptions'],
  TaskRevokedError: ['TaskRevokedError', 'celery.exceptions'],
  Retry: ['Retry', 'celery.exceptions'],
  Ignore: ['Ignore', 'celery.exceptions'],
  Reject: ['Reject', 'celery.exceptions'],
  MaxRetriesExceededError: ['MaxRetriesExceededError', 'celery.exceptions'],
  WorkerLostError: ['WorkerLostError', 'billiard.exceptions'],
  SoftTimeLimitExceeded: ['SoftTimeLimitExceeded', 'billiard.exceptions'],
  TimeLimitExceeded: ['TimeLimitExceeded', 'billiard.exceptions'],
  EncodeError: ['EncodeError', 'kombu.exceptions'],
  DecodeError: ['DecodeError', 'kombu.exceptions'],
  ContentDisallowed: ['ContentDisallowed', 'kombu.exceptions'],
}

/** An exception as Celery writes it, so that Python clients raise something alike and ours shows its own name. */
export function encodeException(name: string, messages: readonly unknown[]): EncodedException {
  const known = Object.hasOwn(PYTHON, name) ? PYTHON[name] : undefined
  const [exc_type, exc_module] = known ?? [name, 'onedyno.errors']
  return { exc_type, exc_message: messages, exc_module }
}

/** Said of what throws itself when it is looked at. */
export const UNSHOWN = 'something was thrown that cannot be shown'

/** Whatever was thrown, with its stack as far as there is one. NUL, which PostgreSQL's text cannot hold, is shown as U+FFFD. Never throws. */
export function encodeThrown(thrown: unknown): { exception: EncodedException; traceback: string | null } {
  try {
    if (!(thrown instanceof Error)) return { exception: encodeException('Error', [String(thrown)]), traceback: null }
    const name = thrown instanceof AppError ? thrown.code : thrown.name === 'Error' ? thrown.constructor.name : thrown.name
    return { exception: encodeException(String(name), [wordsOf(thrown)]), traceback: tracebackOf(thrown) }
  } catch {
    // Without a prototype, or with a getter that throws itself.
    return { exception: encodeException('Error', [UNSHOWN]), traceback: null }
  }
}

/** Python's classes of time limits hold the seconds, and say the rest themselves. */
const wordsOf = (error: Error): unknown =>
  error instanceof SoftTimeLimitExceeded || error instanceof TimeLimitExceeded ? error.seconds : String(error.message)

/** A chain of causes may be a circle. */
function tracebackOf(error: Error, depth = 0): string {
  const cause = error.cause instanceof Error && depth < 10 ? `\ncaused by: ${tracebackOf(error.cause, depth + 1)}` : ''
  return `${error.stack ?? error.message}${cause}`.replaceAll('\0', '\uFFFD').slice(0, 16_384)
}
