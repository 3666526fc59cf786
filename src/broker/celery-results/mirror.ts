import { type Outcome, READY_STATES } from '../../app/outcome.ts'
import { createPump } from '../../concurrency/pump.ts'
import { waitAtMost, withTimeout } from '../../concurrency/with-timeout.ts'
import type { Log } from '../../log.ts'
import type { Message } from '../../message/message.ts'
import type { ResultMirror, StoredOutcome } from '../broker.ts'
import { isRedisConnectionError, type RedisConnection, scriptCommand } from '../redis/connection.ts'
import { MIRROR } from '../redis/scripts.ts'

const BACKOFF = { firstMs: 50, maxMs: 5000 }
/** Outcomes of one script, which runs alone on the server. */
const AT_ONCE = 200
/** An attempt that is not answered by then is taken for failed; it may be repeated, because writing twice changes nothing. Milliseconds. */
const ATTEMPT_MS = 5000
/** What waits in memory at most while Redis is away. */
const MAX_WAITING = 10_000
const MAX_WAITING_CHARS = 32 * 1024 * 1024
/** The last chance of what still waits when the process ends. Milliseconds. */
const CLOSE_MS = 1000

export interface RedisMirrorOptions {
  readonly ttlSeconds: number
  /** Mark of this application on its documents (`replyAddress`). */
  readonly origin: string
  /** Before the names of the keys. */
  readonly prefix?: string
  readonly log: Log
  /** Another server than the broker's: when it is away, nobody waits for it, and what it does not get is bounded. */
  readonly apart: boolean
  /** Called when a final outcome is written that has a message: for chords. Tried again when it rejects. */
  readonly onWritten?: (message: Message, outcome: Outcome) => Promise<void>
}

export interface RedisMirror {
  /** `worker`: the name that documents of running tasks show. */
  of(worker: string): ResultMirror
  /** Writes what waits, within a second. */
  close(): Promise<void>
}

interface Waiting extends StoredOutcome {
  readonly document: string
  /** Somebody holds an acknowledgement back for it. */
  readonly release: () => void
}

/**
 * Outcomes where Celery's Redis result backend keeps them (reference/celery-protocol.md §3.3): `SETEX celery-task-meta-<id>` and `PUBLISH` on
 * a channel of the same name; a SUCCESS is never overwritten. Ours stay in PostgreSQL. What comes while one batch is under way leaves
 * with the next, in order.
 */
export function createRedisMirror(connection: RedisConnection, options: RedisMirrorOptions): RedisMirror {
  const { prefix = '', ttlSeconds, log, apart, origin } = options
  let waiting: Waiting[] = []
  let chars = 0
  let dropped = 0
  let away = false
  let said = ''

  const put = async (batch: readonly Waiting[]) => {
    const keys = batch.map(({ outcome }) => `${prefix}celery-task-meta-${outcome.id}`)
    await connection.pipeline([scriptCommand(MIRROR, keys, [ttlSeconds, ...batch.map(({ document }) => document)])])
    for (const { message, outcome } of batch)
      if (message !== undefined && READY_STATES.has(outcome.state)) await options.onWritten?.(message, outcome)
  }

  const writeNext = async () => {
    const batch = waiting.slice(0, AT_ONCE)
    try {
      await connection.ready(ATTEMPT_MS)
      await attempt(put(batch))
    } catch (error) {
      if (!isPoison(error)) throw error
      finish(await oneByOne(batch))
      return
    }
    back()
    finish(batch)
  }

  /** A key that is none of Celery's must not hold up the others. @returns those that are settled, one way or the other */
  const oneByOne = async (batch: readonly Waiting[]): Promise<Waiting[]> => {
    const settled: Waiting[] = []
    for (const each of batch) {
      try {
        await attempt(put([each]))
      } catch (err) {
        if (!isPoison(err)) return settled
        log.error({ err, id: each.outcome.id }, 'result refused by Redis, not mirrored')
      }
      settled.push(each)
    }
    return settled
  }

  /** What was left out meanwhile is gone already. */
  const finish = (batch: readonly Waiting[]) => {
    const settled = new Set(batch)
    waiting = waiting.filter((each) => {
      if (!settled.has(each)) return true
      forget(each)
      return false
    })
  }

  const forget = ({ document, release }: Waiting) => {
    chars -= document.length
    release()
  }

  /** The connection has said that it is away; what else is wrong is said once for each reason. */
  const failed = (error: unknown) => {
    away = true
    if (apart) for (const { release } of waiting) release()
    const { message } = error as Error
    if (isRedisConnectionError(error) || message === said) return
    said = message
    log.warn({ reason: said, results: waiting.length }, 'results cannot be mirrored to Redis now, trying again until they can')
  }

  const back = () => {
    away = false
    said = ''
    if (dropped > 0) log.error({ results: dropped }, 'Redis was away for too long, these results were not mirrored to it')
    dropped = 0
  }

  /** Only where nobody waits for it: the oldest has waited longest, so that its reader has probably given up. */
  const trim = () => {
    if (!apart || (waiting.length <= MAX_WAITING && (chars <= MAX_WAITING_CHARS || waiting.length === 1))) return
    if (dropped === 0) log.warn({ results: waiting.length }, 'too many results wait for Redis, the oldest are not mirrored')
    const oldest = waiting.splice(0, Math.ceil(waiting.length / 4))
    dropped += oldest.length
    for (const each of oldest) forget(each)
  }

  const pump = createPump({
    hasWork: () => waiting.length > 0 && !connection.closed,
    turn: writeNext,
    onFailure: failed,
    backoff: BACKOFF,
  })

  const write = (recorded: readonly StoredOutcome[], worker: string): Promise<void> => {
    if (recorded.length === 0) return Promise.resolve()
    const written = new Promise<void>((resolve) => {
      let left = recorded.length
      const release = () => {
        if (--left === 0) resolve()
      }
      for (const { outcome, message } of recorded) {
        const document = resultDocument(outcome, { worker, origin })
        waiting.push({ outcome, message, document, release })
        chars += document.length
      }
    })
    trim()
    pump.wakeNow()
    return apart && away ? Promise.resolve() : written
  }

  return {
    of: (worker) => ({ write: (recorded) => write(recorded, worker) }),
    async close() {
      await waitAtMost(pump.idle(), CLOSE_MS)
      void pump.stop()
      for (const { release } of waiting) release()
      if (waiting.length + dropped > 0)
        log.error({ results: waiting.length + dropped }, 'Redis is away, these results were not mirrored to it')
    },
  }
}

/** A fault of one key, not of the server. */
const isPoison = (error: unknown) => (error as Error).message.startsWith('WRONGTYPE')

const attempt = (work: Promise<void>): Promise<void> =>
  withTimeout(work, ATTEMPT_MS, () => {
    throw new Error(`no answer within ${ATTEMPT_MS} ms`)
  })

/**
 * The result document in Celery's order of keys, and whose it is after them. `result` and `date_done` of a task that still runs are what
 * Celery tells then.
 */
export function resultDocument(
  { id, state, result, traceback, doneAt }: Outcome,
  { worker, origin }: { readonly worker: string; readonly origin: string },
): string {
  const value = state === 'STARTED' ? JSON.stringify({ pid: process.pid, hostname: worker }) : (result ?? 'null')
  const dateDone = doneAt === null ? 'null' : `"${new Date(doneAt).toISOString().replace('Z', '000+00:00')}"`
  return `{"status": "${state}", "result": ${value}, "traceback": ${JSON.stringify(traceback)}, "children": [], "date_done": ${dateDone}, "task_id": ${JSON.stringify(id)}${markOf(origin)}`
}

/** How a document ends that this application has written itself. */
export const markOf = (origin: string): string => `, "origin": "${origin}"}`
