import type { EncodedException } from '../app/outcome.ts'
import { AppError } from '../errors.ts'

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
  WorkerLostError: ['WorkerLostError', 'billiard.exceptions'],
  EncodeError: ['EncodeError', 'kombu.exceptions'],
}

/** An exception as Celery writes it, so that Python clients raise something alike and ours shows its own name. */
export function encodeException(name: string, messages: readonly unknown[]): EncodedException {
  const [exc_type, exc_module] = PYTHON[name] ?? [name, 'onedyno.errors']
  return { exc_type, exc_message: messages, exc_module }
}

/** Whatever was thrown, with its stack as far as there is one. NUL, which PostgreSQL's text cannot hold, is shown as U+FFFD. */
export function encodeThrown(thrown: unknown): { exception: EncodedException; traceback: string | null } {
  if (!(thrown instanceof Error)) return { exception: encodeException('Error', [String(thrown)]), traceback: null }
  const name = thrown instanceof AppError ? thrown.code : thrown.name === 'Error' ? thrown.constructor.name : thrown.name
  return { exception: encodeException(name, [thrown.message]), traceback: tracebackOf(thrown) }
}

function tracebackOf(error: Error): string {
  const cause = error.cause instanceof Error ? `\ncaused by: ${tracebackOf(error.cause)}` : ''
  return `${error.stack ?? error.message}${cause}`.replaceAll('\0', '\uFFFD').slice(0, 16_384)
}
