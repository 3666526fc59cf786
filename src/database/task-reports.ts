import type { LogLine } from '../app/effects.ts'
import { createGroupCommit } from '../concurrency/group-commit.ts'
import type { Database } from './database.ts'
import { sql } from './sql.ts'

/** The progress of a task. */
export interface ProgressRow {
  readonly id: string
  readonly task: string
  readonly queue: string
  readonly retries: number
  /** JSON `{n, of, note}`. */
  readonly progress: string
}

export interface LogRow extends LogLine {
  readonly id: string
  /** Number of attempts before the one that wrote the progress. */
  readonly retries: number
}

/** A log line as the console shows it. */
export interface StoredLine extends Record<string, unknown> {
  readonly retries: number
  readonly level: number
  /** Milliseconds since the epoch. */
  readonly at_ms: number
  readonly message: string
  /** JSON object, or null. */
  readonly fields: string | null
}

/**
 * Stores progress and log lines of running tasks, in batches. The last progress and lines of a task are stored with its outcome.
 */
export interface TaskReports {
  progress(row: ProgressRow): Promise<void>
  log(rows: readonly LogRow[]): Promise<void>
  /** Returns the last `limit` log lines of a task, oldest first. */
  lines(id: string, limit: number): Promise<StoredLine[]>
}

/**
 * Creates the store of progress and log lines.
 * @param worker name of the worker that writes; a process that only reads needs none
 */
export function createTaskReports(database: Database, worker = ''): TaskReports {
  const progress = createGroupCommit<ProgressRow>((rows) => {
    // One INSERT cannot write a row twice, so only the last progress of each task is stored.
    const last = [...new Map(rows.map((row) => [row.id, row])).values()]
    return database.query(sql('task-progress'), [
      last.map(({ id }) => id),
      last.map(({ task }) => task),
      last.map(({ queue }) => queue),
      last.map(({ retries }) => retries),
      last.map((row) => row.progress),
      worker,
    ])
  })
  const logs = createGroupCommit<readonly LogRow[]>((groups) => {
    const rows = groups.flat()
    return database.query(sql('task-log-add'), logColumns(rows))
  })
  return {
    progress: (row) => progress.add(row),
    log: (rows) => logs.add(rows),
    lines: (id, limit) => database.query<StoredLine>(sql('task-log-list'), [id, limit]),
  }
}

/** Returns the arrays of task-log-add.sql. */
export const logColumns = (rows: readonly LogRow[]): unknown[][] => [
  rows.map(({ id }) => id),
  rows.map(({ retries }) => retries),
  rows.map(({ level }) => level),
  rows.map(({ at }) => at),
  rows.map(({ message }) => message),
  rows.map(({ fields }) => fields),
]
