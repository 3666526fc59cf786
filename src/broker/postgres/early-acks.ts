import type { Database } from '../../database/database.ts'
import { sql } from '../../database/sql.ts'

interface Waiting {
  readonly tag: string
  readonly worker: number
  readonly resolve: (gone: boolean) => void
  /**
   * True after the first attempt. If it is repeated, the first attempt got no answer, so the server may have deleted the message
   * already.
   */
  sent: boolean
}

/** The early acknowledgements of a consumer. */
export interface EarlyAcks {
  readonly size: number
  /**
   * Acknowledges a message before it runs.
   * @param worker the worker that holds the message
   * @returns true if the message is deleted and may run; false if another worker has the message or will receive it
   */
  add(tag: string, worker: number): Promise<boolean>
  /**
   * Sends the waiting acknowledgements. Rejects if the database is away; the call may be repeated.
   * @returns tags of messages that this worker does not hold any more
   */
  send(worker: number): Promise<readonly string[]>
  /** Resolves the waiting acknowledgements to false. Called when the consumer sends no more acknowledgements. */
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
        // An earlier attempt may have deleted the message although its answer was lost. If the message does not exist and this
        // worker was not declared dead, this worker deleted it.
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
