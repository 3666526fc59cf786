import type { Database } from '../../database/database.ts'
import { sql } from '../../database/sql.ts'

interface Waiting {
  readonly tag: string
  readonly worker: number
  readonly resolve: (gone: boolean) => void
  /** Sent before, without an answer. */
  sent: boolean
}

/** The early acknowledgements of a consumer. */
export interface EarlyAcks {
  readonly size: number
  /**
   * @param worker the worker that holds the message
   * @returns true: the message is deleted and may run; false: another worker has it or will get it
   */
  add(tag: string, worker: number): Promise<boolean>
  /** @returns tags that this worker does not hold any more. Rejects when the database is away; then it may be called again */
  send(worker: number): Promise<readonly string[]>
  /** Resolves waiting acknowledgements to false, because nothing will be sent any more. */
  giveUp(): void
}

export function createEarlyAcks(database: Database): EarlyAcks {
  let waiting: Waiting[] = []
  return {
    get size() {
      return waiting.length
    },
    add: (tag, worker) => new Promise((resolve) => waiting.push({ tag, worker, resolve, sent: false })),
    async send(worker) {
      const batch = [...waiting]
      const inDoubt = new Set(batch.filter(({ sent }) => sent).map(({ tag }) => tag))
      for (const each of batch) each.sent = true
      const rows = await database.query<{ id: string; gone: boolean; there: boolean; alive: boolean }>(
        sql('message-acknowledge'),
        [batch.map(({ tag }) => tag), worker],
      )
      const known = new Map(rows.map((row) => [row.id, row]))
      waiting = waiting.slice(batch.length)
      const lost: string[] = []
      for (const each of batch) {
        const { gone = false, there = false, alive = false } = known.get(each.tag) ?? {}
        // After a lost answer, a deleted message was deleted by this worker, unless the worker was declared dead.
        const ours = gone || (inDoubt.has(each.tag) && !there && alive && each.worker === worker)
        if (!ours) lost.push(each.tag)
        each.resolve(ours)
      }
      return lost
    },
    giveUp() {
      for (const { resolve } of waiting.splice(0)) resolve(false)
    },
  }
}
