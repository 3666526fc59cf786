import type { Planner } from '../../app/canvas/plan.ts'
import type { Outcome } from '../../app/outcome.ts'
import { retry } from '../../concurrency/retry.ts'
import { isRefusal } from '../../concurrency/transient.ts'
import { storableIds } from '../../database/columns.ts'
import type { Database } from '../../database/database.ts'
import { sql } from '../../database/sql.ts'
import type { Log } from '../../log.ts'
import type { Message } from '../../message/message.ts'
import type { ResultMirror } from '../broker.ts'
import { storedOutcomes } from '../celery-results/stored-again.ts'
import type { Unstored } from '../outcomes/backlog.ts'
import { createRecorder, type Settlement } from '../outcomes/recorder.ts'
import type { Follows } from '../outcomes/sequel.ts'

/** What it refuses for another reason than the value itself, such as a full disk, passes. */
const BACKOFF = { firstMs: 100, maxMs: 5000, isRetryable: (error: unknown) => !isRefusal(error) }

/** What a consumer leaves in PostgreSQL before it acknowledges in Redis. Nothing rejects: it is tried until the database takes it. */
export interface RedisSettlement {
  /** `onStored` of the batch is told the tag, once; without a tag nobody. `follows`: written in the same commit. */
  record(
    outcome: Outcome | null,
    of?: { readonly tag: string | undefined; readonly message: Message; readonly follows?: Follows | undefined },
  ): void
  keepAside(message: Message, reason: string, onKept: () => void): void
  /** Up to which of their attempts these tasks, whose messages came again, are recorded (`isRecorded`). What ended is mirrored by then. */
  recorded(messages: readonly Message[]): Promise<ReadonlyMap<string, number | null>>
  /** Outcomes and messages that are not stored yet. */
  readonly pending: number
  /** Resolves when none is left. */
  flush(): Promise<void>
}

interface Tagged extends Settlement {
  readonly tag: string | undefined
  readonly message: Message | undefined
}

/** A text that is no message, as far as `dead_letter` can show it. */
export const unreadable = (queue: string, body: string): Message => ({
  headers: { id: '', task: '(unreadable)' },
  properties: {},
  body,
  queue,
  priority: 0,
})

export function createRedisSettlement(
  database: Database,
  options: {
    readonly name: string
    readonly log: Log
    readonly mirror: ResultMirror | undefined
    readonly planner?: Planner | undefined
    readonly unstored?: Unstored | undefined
    readonly onStored: (tags: readonly string[]) => void
  },
): RedisSettlement {
  const { name, log, mirror } = options
  const keeping = new Set<Promise<void>>()

  /** Mirrored after it is stored and before it is acknowledged: whoever waits there is told at least once. */
  const onStored = async (settlements: readonly Tagged[], besides: readonly Outcome[]) => {
    if (mirror !== undefined)
      await mirror.write([
        ...settlements.flatMap(({ outcome, message }) => (outcome === null ? [] : [{ outcome, message }])),
        ...besides.map((outcome) => ({ outcome, message: undefined })),
      ])
    const tags: string[] = []
    for (const { tag } of settlements) if (tag !== undefined) tags.push(tag)
    options.onStored(tags)
  }
  const track = (work: Promise<void>) => {
    const tracked: Promise<void> = work.finally(() => keeping.delete(tracked))
    keeping.add(tracked)
  }
  const recorder = createRecorder<Tagged>(database, {
    name,
    log,
    planner: options.planner,
    unstored: options.unstored,
    onStored: (settlements, besides) => track(onStored(settlements, besides)),
  })

  const keep = async (message: Message, reason: string) => {
    const { queue, headers } = message
    log.error({ id: headers.id, task: headers.task, queue, reason }, 'message kept aside in dead_letter')
    await retry(() => recorder.deadLetter(message, reason), BACKOFF)
  }

  return {
    record: (outcome, of) => recorder.record({ outcome, tag: of?.tag, message: of?.message, follows: of?.follows }),
    keepAside(message, reason, onKept) {
      // What the database refuses for good stays unacknowledged in Redis: kept as well, and said.
      track(
        keep(message, reason).then(onKept, (err) => log.error({ err }, 'message could not be kept aside, left unacknowledged')),
      )
    },
    async recorded(messages) {
      if (mirror !== undefined) await mirror.write(await retry(() => storedOutcomes(database, messages), BACKOFF))
      const ids = storableIds(messages.map(({ headers }) => headers.id))
      const ask = () => database.query<{ id: string; recorded: number | null }>(sql('result-recorded'), [ids])
      return new Map((await retry(ask, BACKOFF)).map(({ id, recorded }) => [id, recorded]))
    },
    get pending() {
      return recorder.pending + keeping.size
    },
    async flush() {
      await recorder.flush()
      await Promise.all(keeping)
    },
  }
}
