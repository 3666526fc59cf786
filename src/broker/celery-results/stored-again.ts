import type { Outcome } from '../../app/outcome.ts'
import { storableIds } from '../../database/columns.ts'
import type { Database } from '../../database/database.ts'
import { sql } from '../../database/sql.ts'
import type { Message } from '../../message/message.ts'
import type { StoredOutcome } from '../broker.ts'

interface Row extends Record<string, unknown>, Omit<Outcome, 'startedAt' | 'doneAt' | 'queue'> {
  readonly queue: string | null
  readonly started_at: Date | null
  readonly done_at: Date | null
}

/**
 * Reads the stored final outcomes of redelivered messages, because the worker that stored them may have died before it mirrored
 * them or replied. Messages without a final outcome are left out.
 */
export async function storedOutcomes(database: Database, messages: readonly Message[]): Promise<StoredOutcome[]> {
  const byId = new Map(messages.map((message) => [message.headers.id, message]))
  const rows = await database.query<Row>(sql('result-ready'), [storableIds([...byId.keys()])])
  return rows.map(({ id, task, state, result, traceback, retries, queue, started_at, done_at }) => ({
    message: byId.get(id),
    outcome: {
      ...{ id, task, state, result, traceback, retries, queue: queue ?? '' },
      startedAt: started_at?.getTime() ?? null,
      doneAt: done_at?.getTime() ?? Date.now(),
    },
  }))
}
