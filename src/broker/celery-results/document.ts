import { type Outcome, READY_STATES, STATES, type State } from '../../app/outcome.ts'
import { parseCeleryTime } from '../../message/message.ts'
import { parseJson } from '../../message/python-json.ts'
import { UndecodableMessageError } from '../../message/undecodable.ts'

/** An outcome that somebody else recorded, such as a Python worker. null: its document does not tell. */
export interface ForeignOutcome extends Pick<Outcome, 'id' | 'state' | 'result' | 'traceback' | 'startedAt' | 'doneAt'> {
  readonly task: string | null
  readonly queue: string | null
  readonly worker: string | null
}

/** What the sender knows and the document perhaps does not. */
export interface KnownTask {
  readonly task: string | null
  readonly queue: string | null
}

/**
 * Celery's result document (reference/celery-protocol.md §3.1), as rpc:// and Redis carry it. A value that JSON of Node.js cannot hold is not
 * silently another one: NaN becomes null, as JSON.stringify has it, and an integer beyond 2^53 a FAILURE that says so.
 * undefined: no such document, or a state of the task's own, which has no place here.
 */
export function readResultDocument(text: string, known?: KnownTask, now: number = Date.now()): ForeignOutcome | undefined {
  try {
    return outcomeOf(parseJson(text), known, now)
  } catch (error) {
    if (!(error instanceof UndecodableMessageError) || error.name !== 'DecodeError') return undefined
    const outcome = outcomeOf(parseJson(text, 'any'), known, now)
    return outcome === undefined || !READY_STATES.has(outcome.state) ? outcome : withoutResult(outcome, error.message)
  }
}

function outcomeOf(document: unknown, known: KnownTask | undefined, now: number): ForeignOutcome | undefined {
  if (!isRecord(document)) return undefined
  const { task_id: id, status, result, traceback, date_done, name, queue, worker } = document
  if (typeof id !== 'string' || id === '' || !isState(status) || status === 'PENDING') return undefined
  const isStarted = status === 'STARTED'
  const done = typeof date_done === 'string' ? parseCeleryTime(date_done) : Number.NaN
  return {
    id,
    task: textOf(name) ?? known?.task ?? null,
    state: status,
    // Of a task that runs, the document says where: that is told by `worker`.
    result: isStarted ? null : JSON.stringify(result ?? null),
    traceback: textOf(traceback)?.replaceAll('\0', '\uFFFD') ?? null,
    queue: textOf(queue) ?? known?.queue ?? null,
    worker: textOf(worker) ?? (isStarted && isRecord(result) ? textOf(result.hostname) : null),
    startedAt: isStarted ? now : null,
    doneAt: READY_STATES.has(status) ? (Number.isNaN(done) ? now : done) : null,
  }
}

/** The task has ended, and this much is told; what it returned is not. */
function withoutResult(outcome: ForeignOutcome, problem: string): ForeignOutcome {
  const words = outcome.state === 'SUCCESS' ? `the task succeeded, but of its result ${problem}` : problem
  const exception = { exc_type: 'DecodeError', exc_message: [words], exc_module: 'kombu.exceptions' }
  return { ...outcome, state: 'FAILURE', result: JSON.stringify(exception) }
}

const isState = (status: unknown): status is State => (STATES as readonly unknown[]).includes(status)

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

const textOf = (value: unknown): string | null => (typeof value === 'string' && value !== '' ? value : null)
