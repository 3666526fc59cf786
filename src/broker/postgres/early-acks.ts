import type { Database } from '../../database/database.ts'
import { sql } from '../../database/sql.ts'

interface Waiting {
  readonly tag: string
  readonly worker: number
  readonly resolve: (gone: boolean) => void
  asked: boolean
}

/** Messages that are acknowledged before they run. */
export interface EarlyAcks {
  readonly size: number
  /** @returns true: the message is gone, so it may run; false: it is, or will be, in other hands. @param worker who holds it */
  add(tag: string, worker: number): Promise<boolean>
  /** @returns tags that are not ours any more. Rejects when the database is away; then it may be called again */
  send(worker: number): Promise<readonly string[]>
  /** Nothing will be sent any more. */
  giveUp(): void
}

export function createEarlyAcks(database: Database): EarlyAcks {
  let waiting: Waiting[] = []
  return {
    get size() {
      return waiting.length
    },
    add: (tag, worker) => new Promise((resolve) => waiting.push({ tag, worker, resolve, asked: false })),
    async send(worker) {
      const batch = [...waiting]
      const inDoubt = new Set(batch.filter(({ asked }) => asked).map(({ tag }) => tag))
      for (const each of batch) each.asked = true
      const rows = await database.query<{ id: string; gone: boolean; there: boolean; alive: boolean }>(
        sql('message-acknowledge'),
        [batch.map(({ tag }) => tag), worker],
      )
      const known = new Map(rows.map((row) => [row.id, row]))
      waiting = waiting.slice(batch.length)
      const lost: string[] = []
      for (const each of batch) {
        const { gone = false, there = false, alive = false } = known.get(each.tag) ?? {}
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
