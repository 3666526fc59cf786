import { type Outcome, READY_STATES, STATES, type State } from '../../app/outcome.ts'
import { parseCeleryTime } from '../../message/message.ts'
import { parseJson } from '../../message/python-json.ts'
import { UndecodableMessageError } from '../../message/undecodable.ts'

/** An outcome that another application wrote, such as a Python worker. A field is null if the document does not contain it. */
export interface ForeignOutcome extends Pick<Outcome, 'id' | 'state' | 'result' | 'traceback' | 'startedAt' | 'doneAt'> {
  readonly task: string | null
  readonly queue: string | null
  readonly worker: string | null
}

/** Fields that the sender knows and the document may lack. */
export interface KnownTask {
  readonly task: string | null
  readonly queue: string | null
}

/**
 * Reads Celery's result document (docs/internals/wire-protocol.md) from rpc:// or Redis. NaN in a result becomes null, as in
 * JSON.stringify. A result with an integer beyond 2^53, which Node.js would change silently, becomes a FAILURE that says so.
 * @returns undefined if the text is not a result document, or has a custom state
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
    // The result of STARTED is left out: it describes the process, which `worker` names.
    result: isStarted ? null : JSON.stringify(result ?? null),
    traceback: textOf(traceback)?.replaceAll('\0', '\uFFFD') ?? null,
    queue: textOf(queue) ?? known?.queue ?? null,
    worker: textOf(worker) ?? (isStarted && isRecord(result) ? textOf(result.hostname) : null),
    startedAt: isStarted ? now : null,
    doneAt: READY_STATES.has(status) ? (Number.isNaN(done) ? now : done) : null,
  }
}

/** Turns an outcome whose result cannot be read into a FAILURE with the problem as its error. */
function withoutResult(outcome: ForeignOutcome, problem: string): ForeignOutcome {
  const text = outcome.state === 'SUCCESS' ? `the task succeeded, but its result cannot be stored: ${problem}` : problem
  const exception = { exc_type: 'DecodeError', exc_message: [text], exc_module: 'kombu.exceptions' }
  return { ...outcome, state: 'FAILURE', result: JSON.stringify(exception) }
}

const isState = (status: unknown): status is State => (STATES as readonly unknown[]).includes(status)

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

const textOf = (value: unknown): string | null => (typeof value === 'string' && value !== '' ? value : null)
