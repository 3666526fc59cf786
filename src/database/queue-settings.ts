import { AppError } from '../errors.ts'
import type { Database } from './database.ts'
import { sql } from './sql.ts'

/** The settings of one queue, for every worker. */
export interface QueueSetting {
  readonly name: string
  /** If true, workers take no more messages from the queue. Running tasks continue, and messages can still be sent. */
  readonly paused: boolean
  /** Maximum number of tasks that run at once over all workers; 1 keeps their order, null means no limit. */
  readonly concurrency: number | null
}

/** Pauses and limits of queues, stored in PostgreSQL for every broker. Workers are notified of each change. */
export interface QueueSettings {
  /** Returns the queues that are paused or limited. */
  all(): Promise<QueueSetting[]>
  /** Returns the queues of this database and `others`, by name. Sends no request to RabbitMQ or Redis. */
  listQueues(others?: readonly string[]): Promise<QueueSetting[]>
  /** @throws AppError QUEUE_INVALID */
  pause(name: string): Promise<void>
  /** @throws AppError QUEUE_INVALID */
  resume(name: string): Promise<void>
  /**
   * Limits how many tasks of a queue run at once.
   * @param concurrency maximum number over all workers, 1 to 1000; null: no limit.
   * @throws AppError QUEUE_INVALID
   */
  limit(name: string, concurrency: number | null): Promise<void>
  /** Stores the limits that the application declares. A queue that already has a setting keeps it. */
  declare(queues: ReadonlyMap<string, { readonly concurrency: number }>): Promise<void>
}

const MAX_CONCURRENCY = 1000

export function createQueueSettings(database: Database): QueueSettings {
  const setPaused = async (name: string, paused: boolean) => {
    await database.query(sql('queue-pause'), [checkName(name), paused])
  }
  return {
    all: () => database.query<Row>(sql('queue-settings')),
    listQueues: (others = []) => database.query<Row>(sql('queue-list'), [others]),
    pause: (name) => setPaused(name, true),
    resume: (name) => setPaused(name, false),
    async limit(name, concurrency) {
      if (concurrency !== null && !(Number.isSafeInteger(concurrency) && concurrency >= 1 && concurrency <= MAX_CONCURRENCY))
        throw new AppError('QUEUE_INVALID', `${concurrency} is not a whole number from 1 to ${MAX_CONCURRENCY}`)
      await database.query(sql('queue-limit'), [checkName(name), concurrency])
    },
    async declare(queues) {
      if (queues.size === 0) return
      await database.query(sql('queue-declare'), [[...queues.keys()], [...queues.values()].map(({ concurrency }) => concurrency)])
    },
  }
}

type Row = QueueSetting & Record<string, unknown>

function checkName(name: string): string {
  if (typeof name === 'string' && name.length >= 1 && name.length <= 200 && !/[\0,]/.test(name) && name.isWellFormed())
    return name
  throw new AppError('QUEUE_INVALID', `${JSON.stringify(name)} is not a name of 1 to 200 characters without a comma`)
}
