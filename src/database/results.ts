import type { State } from '../app/outcome.ts'
import type { ResultBackend } from '../app/results/stored-result.ts'
import { createGroupCommit } from '../concurrency/group-commit.ts'
import { isRefusal } from '../concurrency/transient.ts'
import { type CleanUpOptions, cleanUp } from './clean-up.ts'
import type { Database } from './database.ts'
import { type ResultRow, toStored } from './result-row.ts'
import { createWaiters } from './result-waiters.ts'
import { sql } from './sql.ts'

/** A task without a result: its queue, and when it is due. */
export interface Located {
  readonly task: string
  readonly state: State
  readonly queue: string
  /** When the message is due; null: the message is in its queue. */
  readonly dueAt: Date | null
}

/** A task that the console sends. `args` is the JSON text `[args, kwargs]`. */
export interface Sent {
  readonly id: string
  readonly task: string
  readonly queue: string
  readonly args: string
}

export interface Results extends ResultBackend {
  /** Registers ids that this process is about to send. It cannot miss their notifications, so `wait` need not query first. */
  sending(ids: readonly string[]): void
  /** Stores the id and the arguments of a message that is being sent. */
  recordSent(sent: Sent): Promise<void>
  /** Searches results, outbox and queues. Returns undefined if the id is unknown. */
  locate(id: string): Promise<Located | undefined>
  /**
   * Deletes results that ended more than `seconds` ago or whose own time to live is over.
   * @returns the number of deleted results
   */
  cleanUp(seconds: number): Promise<number>
}

type WaitingRow = { task: string; queue: string; due_at: Date | null; state: State }

/** Reads and writes the results table, and owns the subscription of waiting calls. */
export function createResults(database: Database, options?: CleanUpOptions): Results {
  const waiters = createWaiters(database)
  const sent = createGroupCommit<Sent>(
    (rows) =>
      database.query(sql('result-sent'), [
        rows.map(({ id }) => id),
        rows.map(({ task }) => task),
        rows.map(({ queue }) => queue),
        rows.map(({ args }) => args),
      ]),
    isRefusal,
  )
  return {
    find: async (id) => toStored((await database.query<ResultRow>(sql('result-find'), [id]))[0]),
    wait: waiters.wait,
    sending: waiters.sending,
    async forget(id) {
      waiters.forget(id)
      await database.query(sql('result-forget'), [id])
    },
    recordSent: (row) => sent.add(row),
    async locate(id) {
      const stored = async () => (await database.query<ResultRow>(sql('result-find'), [id]))[0]
      const waiting = async () => (await database.query<WaitingRow>(sql('result-locate'), [id]))[0]
      // A task can end between the first two queries: its message is gone then, and its result is there.
      const row = (await stored()) ?? (await waiting()) ?? (await stored())
      if (row === undefined) return undefined
      const dueAt = 'due_at' in row ? (row.due_at as Date | null) : null
      return { task: row.task, state: row.state, queue: row.queue ?? '', dueAt }
    },
    cleanUp: (seconds) => cleanUp(database, seconds, options),
  }
}
