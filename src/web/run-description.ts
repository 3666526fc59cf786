import type { Child } from '../app/effects.ts'
import { READY_STATES, type State } from '../app/outcome.ts'
import type { Progress, StoredResult } from '../app/results/stored-result.ts'
import type { Located } from '../database/results.ts'
import type { StoredLine } from '../database/task-reports.ts'

/** One run of a task, as the status page and its JSON show it. */
export interface RunDescription {
  readonly id: string
  readonly task: string
  readonly state: State
  readonly ready: boolean
  /** Arguments as JSON values; null if only the message contains them. */
  readonly args: readonly unknown[] | null
  /** The result if the state is SUCCESS; null in other states. */
  readonly result: unknown
  readonly error: { readonly type: string; readonly message: string; readonly traceback: string | null } | null
  readonly queue: string | null
  readonly worker: string | null
  /** Number of attempts before the last one. */
  readonly retries: number
  /** The progress that the task last reported; null if there is none. */
  readonly progress: Progress | null
  /** Ids of tasks and groups that this task sent. */
  readonly children: readonly Child[]
  readonly parentId: string | null
  /** Time at which the message is queued or the next attempt starts; null if this time is past. */
  readonly dueAt: Date | null
  readonly createdAt: Date | null
  readonly startedAt: Date | null
  readonly doneAt: Date | null
}

export function describeStored(stored: StoredResult): RunDescription {
  const { id, task, state, args, queue, worker, retries, createdAt, startedAt, doneAt } = stored
  return {
    ...{ id, task, state, args, ready: READY_STATES.has(state) },
    result: state === 'SUCCESS' ? stored.result : null,
    error: state === 'FAILURE' || state === 'RETRY' || state === 'REVOKED' ? errorOf(stored) : null,
    ...{ queue, worker, retries, dueAt: stored.nextAt ?? null, createdAt, startedAt, doneAt },
    ...{ progress: stored.progress ?? null, children: stored.children ?? [], parentId: stored.parentId ?? null },
  }
}

/** Describes a run without a stored result: its message is still in the outbox or in the queue. */
export const describeLocated = (id: string, { task, state, queue, dueAt }: Located): RunDescription => ({
  ...{ id, task, state, ready: false, args: null, result: null, error: null },
  queue: queue === '' ? null : queue,
  ...{ worker: null, retries: 0, dueAt, createdAt: null, startedAt: null, doneAt: null },
  ...{ progress: null, children: [], parentId: null },
})

function errorOf({ result, traceback }: StoredResult): NonNullable<RunDescription['error']> {
  const { exc_type, exc_message } = (typeof result === 'object' && result !== null ? result : {}) as {
    exc_type?: unknown
    exc_message?: unknown
  }
  const said = Array.isArray(exc_message)
    ? exc_message.map((part) => (typeof part === 'string' ? part : JSON.stringify(part))).join(', ')
    : String(exc_message ?? '')
  return { type: String(exc_type ?? 'Error'), message: said, traceback }
}

/** Number of last log lines that the page shows, unless `?log=all` is given. */
export const LINES_SHOWN = 200

/** Returns a short hash that changes whenever the page changes. */
export const revisionOf = ({ state, retries, progress }: RunDescription, lines: readonly StoredLine[]): string =>
  [state, retries, progress?.n ?? '', progress?.note ?? '', Math.min(lines.length, LINES_SHOWN), lines.at(-1)?.at_ms ?? ''].join(
    ' ',
  )

/** Returns the JSON form of the page. Names are as in the database, times in ISO 8601. */
export const runJson = (run: RunDescription, lines: readonly StoredLine[]) => ({
  ...{ id: run.id, task: run.task, state: run.state, ready: run.ready, args: run.args, result: run.result, error: run.error },
  ...{ queue: run.queue, worker: run.worker, retries: run.retries },
  ...{ progress: run.progress, children: run.children, parent_id: run.parentId, revision: revisionOf(run, lines) },
  log: lines.map(({ at_ms, ...line }) => ({ ...line, at: new Date(at_ms) })),
  ...{ due_at: run.dueAt, created_at: run.createdAt, started_at: run.startedAt, done_at: run.doneAt },
})
