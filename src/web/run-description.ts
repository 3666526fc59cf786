import type { Child } from '../app/canvas/plan.ts'
import { READY_STATES, type State } from '../app/outcome.ts'
import type { Progress, StoredResult } from '../app/results/async-result.ts'
import type { Located } from '../database/results.ts'
import type { StoredLine } from '../database/task-reports.ts'

/** All that is known of one run of a task: what the status page shows, and what it says to programs. */
export interface RunDescription {
  readonly id: string
  readonly task: string
  readonly state: State
  readonly ready: boolean
  /** What it was called with; null where only its message knew. */
  readonly args: readonly unknown[] | null
  /** The value of SUCCESS, else null. */
  readonly result: unknown
  readonly error: { readonly type: string; readonly message: string; readonly traceback: string | null } | null
  readonly queue: string | null
  readonly worker: string | null
  /** Attempts before the last. */
  readonly retries: number
  /** How far it says it is. */
  readonly progress: Progress | null
  /** What it sent: ids, and groups. */
  readonly children: readonly Child[]
  readonly parentId: string | null
  /** When it is to be queued, or tried again, if that is still to come. */
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

/** A run that nobody has stored anything about: it waits in the outbox or in the queue. */
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

/** Of the log of a run, unless all are asked for: the last ones. */
export const LINES_SHOWN = 200

/** Changes when the page does. */
export const revisionOf = ({ state, retries, progress }: RunDescription, lines: readonly StoredLine[]): string =>
  [state, retries, progress?.n ?? '', progress?.note ?? '', Math.min(lines.length, LINES_SHOWN), lines.at(-1)?.at_ms ?? ''].join(
    ' ',
  )

/** For programs: names as in the database, times in ISO 8601. */
export const runJson = (run: RunDescription, lines: readonly StoredLine[]) => ({
  ...{ id: run.id, task: run.task, state: run.state, ready: run.ready, args: run.args, result: run.result, error: run.error },
  ...{ queue: run.queue, worker: run.worker, retries: run.retries },
  ...{ progress: run.progress, children: run.children, parent_id: run.parentId, revision: revisionOf(run, lines) },
  log: lines.map(({ at_ms, ...line }) => ({ ...line, at: new Date(at_ms) })),
  ...{ due_at: run.dueAt, created_at: run.createdAt, started_at: run.startedAt, done_at: run.doneAt },
})
