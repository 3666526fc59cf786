import type { Database } from '../../database/database.ts'
import { sql } from '../../database/sql.ts'
import { createBatchQueue } from '../consumer/batch-queue.ts'

/**
 * Writes messages that end without an outcome: they are requeued or kept as dead letters. Each write is repeated until it
 * succeeds.
 */
export interface PostgresReleases {
  readonly size: number
  readonly tags: readonly string[]
  requeue(tag: string, counted: boolean): void
  deadLetter(tag: string, reason: string): void
  /** Writes the waiting releases. Rejects if the database is away; the next call repeats the write. */
  write(worker: number): Promise<void>
}

export function createPostgresReleases(database: Database): PostgresReleases {
  const requeues = createBatchQueue<{ readonly tag: string; readonly deaths: number }>()
  const deadLetters = createBatchQueue<{ readonly tag: string; readonly reason: string }>()

  const writeDeadLetters = async () => {
    const batch = deadLetters.first()
    await database.query(sql('message-dead-letter'), [batch.map(({ tag }) => tag), batch.map(({ reason }) => reason)])
    deadLetters.written(batch)
  }

  const writeRequeues = async (worker: number) => {
    const batch = requeues.first()
    await database.query(sql('message-requeue'), [
      batch.map(({ tag }) => tag),
      batch.map(({ deaths }) => deaths),
      worker,
      database.channel('message'),
    ])
    requeues.written(batch)
  }

  return {
    get size() {
      return requeues.size + deadLetters.size
    },
    get tags() {
      return [...requeues.items, ...deadLetters.items].map(({ tag }) => tag)
    },
    requeue: (tag, counted) => requeues.add({ tag, deaths: counted ? 1 : 0 }),
    deadLetter: (tag, reason) => deadLetters.add({ tag, reason }),
    async write(worker) {
      if (deadLetters.size > 0) await writeDeadLetters()
      if (requeues.size > 0) await writeRequeues(worker)
    },
  }
}
