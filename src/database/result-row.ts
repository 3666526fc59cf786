import type { Child } from '../app/effects.ts'
import type { State } from '../app/outcome.ts'
import type { StoredResult } from '../app/results/stored-result.ts'

/** A row of `task_result`. Optional columns are absent if the query does not select them. */
export interface ResultRow extends Record<string, unknown> {
  id: string
  task: string
  state: State
  result: string | null
  traceback: string | null
  queue: string | null
  worker: string | null
  retries: number
  /** JSON `[args, kwargs]`. */
  args?: string | null
  created_at: Date
  started_at: Date | null
  done_at: Date | null
  next_at?: Date | null
  expires_at?: Date | null
  parent_id?: string | null
  root_id?: string | null
  /** JSON list of the tasks and groups that the task sent. */
  children?: string | null
  /** JSON `{n, of, note}`. */
  progress?: string | null
}

export function toStored(row: ResultRow | undefined): StoredResult | undefined {
  if (row === undefined) return undefined
  const { created_at, started_at, done_at, result, args, next_at, expires_at, parent_id, root_id, children, progress, ...rest } =
    row
  const stored = {
    ...rest,
    result: result === null ? null : JSON.parse(result),
    args: args == null ? null : JSON.parse(args)[0],
    createdAt: created_at,
    startedAt: started_at,
    doneAt: done_at,
  }
  if (next_at === undefined) return stored
  return {
    ...stored,
    nextAt: next_at,
    expiresAt: expires_at ?? null,
    parentId: parent_id ?? null,
    rootId: root_id ?? null,
    children: toChildren(children),
    progress: progress == null ? null : JSON.parse(progress),
  }
}

const toChildren = (text: string | null | undefined): Child[] => (text == null ? [] : (JSON.parse(text) as Child[]))
