import type { EncodedException } from '../../app/outcome.ts'
import { SoftTimeLimitExceeded, TimeLimitExceeded } from '../../app/task-errors.ts'
import { AppError } from '../../errors.ts'

/** Errors that have another name or module in Python, so that Python clients raise the class that they expect. */
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

/**
 * Returns an exception in the form in which Celery stores it. A name in PYTHON becomes the equivalent Python class. Any other name
 * is stored unchanged.
 */
export function encodeException(name: string, messages: readonly unknown[]): EncodedException {
  const known = Object.hasOwn(PYTHON, name) ? PYTHON[name] : undefined
  const [exc_type, exc_module] = known ?? [name, 'onedyno.errors']
  return { exc_type, exc_message: messages, exc_module }
}

/** The text for a thrown value that itself throws when it is read. */
export const UNSHOWN = 'something was thrown that cannot be shown'

/** Encodes any thrown value, with its stack if it has one. NUL becomes U+FFFD, because PostgreSQL's text cannot store it. Never throws. */
export function encodeThrown(thrown: unknown): { exception: EncodedException; traceback: string | null } {
  try {
    if (!(thrown instanceof Error)) return { exception: encodeException('Error', [String(thrown)]), traceback: null }
    const name = thrown instanceof AppError ? thrown.code : thrown.name === 'Error' ? thrown.constructor.name : thrown.name
    return { exception: encodeException(String(name), [messageOf(thrown)]), traceback: tracebackOf(thrown) }
  } catch {
    // The value has no prototype, or a getter that throws.
    return { exception: encodeException('Error', [UNSHOWN]), traceback: null }
  }
}

/**
 * Returns the argument of the exception. Python's time limit exceptions have the seconds as their only argument and add the text
 * themselves.
 */
const messageOf = (error: Error): unknown =>
  error instanceof SoftTimeLimitExceeded || error instanceof TimeLimitExceeded ? error.seconds : String(error.message)

/** Returns the stack trace of an error and of its causes. The depth is limited, because causes may form a circle. */
function tracebackOf(error: Error, depth = 0): string {
  const cause = error.cause instanceof Error && depth < 10 ? `\ncaused by: ${tracebackOf(error.cause, depth + 1)}` : ''
  return `${error.stack ?? error.message}${cause}`.replaceAll('\0', '\uFFFD').slice(0, 16_384)
}
