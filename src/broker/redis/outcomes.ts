import { retry } from '../../concurrency/retry.ts'
import { isRefusal } from '../../concurrency/transient.ts'
import { storableIds } from '../../database/columns.ts'
import type { Database } from '../../database/database.ts'
import { sql } from '../../database/sql.ts'
import type { Log } from '../../log.ts'
import type { Message } from '../../message/message.ts'
import type { ConsumeOptions } from '../broker.ts'
import { storedOutcomes } from '../celery-results/stored-again.ts'
import { createBackground } from '../consumer/background.ts'
import { createRecorder, type RemoteSettlement } from '../outcomes/recorder.ts'

/** Every failure counts as transient (a full disk gets room again), unless the database refuses the value itself. */
const BACKOFF = { firstMs: 100, maxMs: 5000, isRetryable: (error: unknown) => !isRefusal(error) }

export interface RedisSettlement extends RemoteSettlement {
  /** The tag of the message to acknowledge. undefined: there is nothing to acknowledge. */
  readonly tag: string | undefined
}

/**
 * The writes of a consumer to PostgreSQL, which precede the acknowledgement in Redis. They never reject: each write is repeated
 * until it succeeds.
 */
export interface RedisOutcomes {
  /** Stores an outcome. After that, `onStored` receives the tag once. */
  settle(settlement: RedisSettlement): void
  deadLetter(message: Message, reason: string, onKept: () => void): void
  /**
   * Returns the last stored attempt of each redelivered task by task id, for `isStored`. Mirrors stored final outcomes before it
   * resolves.
   */
  stored(messages: readonly Message[]): Promise<ReadonlyMap<string, number | null>>
  /** The number of outcomes and dead letters that are not yet stored. */
  readonly pending: number
  /** Resolves when nothing is pending. */
  flush(): Promise<void>
}

/** Wraps a text that is not a message in a message, as table `dead_letter` needs it. */
export const unreadable = (queue: string, body: string): Message => ({
  headers: { id: '', task: '(unreadable)' },
  properties: {},
  body,
  queue,
  priority: 0,
})

export interface RedisOutcomesOptions extends Pick<ConsumeOptions, 'name' | 'mirror' | 'planner' | 'backlog'> {
  readonly log: Log
  readonly onStored: (tags: readonly string[]) => void
}

export function createRedisOutcomes(database: Database, options: RedisOutcomesOptions): RedisOutcomes {
  const { log, mirror } = options
  const keeping = createBackground()
  const recorder = createRecorder<RedisSettlement>(database, {
    ...options,
    onStored(settlements) {
      const tags: string[] = []
      for (const { tag } of settlements) if (tag !== undefined) tags.push(tag)
      options.onStored(tags)
    },
  })

  const keep = async (message: Message, reason: string) => {
    const { queue, headers } = message
    log.error({ id: headers.id, task: headers.task, queue, reason }, 'message kept as a dead letter')
    await retry(() => recorder.deadLetter(message, reason), BACKOFF)
  }

  return {
    settle: (settlement) => recorder.record(settlement),
    deadLetter(message, reason, onKept) {
      keeping.run(
        keep(message, reason).then(onKept, (err) =>
          log.error({ err }, 'database refuses a dead letter, message left unacknowledged in Redis'),
        ),
      )
    },
    async stored(messages) {
      if (mirror !== undefined) await mirror.write(await retry(() => storedOutcomes(database, messages), BACKOFF))
      const ids = storableIds(messages.map(({ headers }) => headers.id))
      const ask = () => database.query<{ id: string; recorded: number | null }>(sql('result-attempts'), [ids])
      return new Map((await retry(ask, BACKOFF)).map(({ id, recorded }) => [id, recorded]))
    },
    get pending() {
      return recorder.pending + keeping.size
    },
    async flush() {
      await recorder.flush()
      await keeping.idle()
    },
  }
}
