import { type Outcome, READY_STATES } from '../../app/outcome.ts'
import { createPump } from '../../concurrency/pump.ts'
import { waitAtMost, withTimeout } from '../../concurrency/with-timeout.ts'
import type { Log } from '../../log.ts'
import type { Message } from '../../message/message.ts'
import type { ResultMirror, StoredOutcome } from '../broker.ts'
import { isRedisConnectionError, type RedisConnection, scriptCommand } from '../redis/connection.ts'
import { MIRROR } from '../redis/scripts.ts'

const BACKOFF = { firstMs: 50, maxMs: 5000 }
/** Most outcomes in one call of the script, which blocks the server while it runs. */
const AT_ONCE = 200
/** An attempt without an answer counts as failed after this time. Repeating it is safe, because writing twice changes nothing. Milliseconds. */
const ATTEMPT_MS = 5000
/** Limits of the results in memory while Redis is away: their number, and the total length of their documents. */
const MAX_WAITING = 10_000
const MAX_WAITING_CHARS = 32 * 1024 * 1024
/** Timeout for writing the results that still wait when the process ends. Milliseconds. */
const CLOSE_MS = 1000

export interface RedisMirrorOptions {
  readonly ttlSeconds: number
  /** The reply address of this application (`replyAddress`), which marks its documents. */
  readonly origin: string
  /** Prefix of the keys of results. Default: none. */
  readonly prefix?: string
  readonly log: Log
  /**
   * True: the server is not the broker's. While it is away, acknowledgements do not wait for it, and the results in memory are
   * limited.
   */
  readonly apart: boolean
  /** Called for chords, after a final outcome with a message is written. If the call rejects, the write is repeated. */
  readonly onWritten?: (message: Message, outcome: Outcome) => Promise<void>
}

export interface RedisMirror {
  /** Returns the mirror of one worker. `worker`: its name, for the documents of running tasks. */
  of(worker: string): ResultMirror
  /** Writes the waiting results, for at most a second. */
  close(): Promise<void>
}

/**
 * Writes outcomes where Celery's Redis result backend keeps them (docs/internals/wire-protocol.md): `SETEX
 * celery-task-meta-<id>`, and `PUBLISH` on the channel of the same name. A SUCCESS is never overwritten. onedyno itself reads
 * results from PostgreSQL only. Outcomes that arrive during a batch are written with the next batch, in order.
 */
export function createRedisMirror(connection: RedisConnection, options: RedisMirrorOptions): RedisMirror {
  const { log, apart, origin } = options
  const waiting = createWaitingResults(options)
  const put = createWriter(connection, options)
  const health = createHealth(log)

  const writeNext = async () => {
    const batch = waiting.first(AT_ONCE)
    try {
      await connection.ready(ATTEMPT_MS)
      await put(batch)
    } catch (error) {
      if (!isPoison(error)) throw error
      waiting.release(await oneByOne(batch))
      return
    }
    health.recovered()
    waiting.reportDropped()
    waiting.release(batch)
  }

  /**
   * Writes the results of a batch one by one, so that a key of the wrong type does not block the others.
   * @returns the results that were written or refused
   */
  const oneByOne = async (batch: readonly Waiting[]): Promise<Waiting[]> => {
    const done: Waiting[] = []
    for (const each of batch) {
      try {
        await put([each])
      } catch (err) {
        if (!isPoison(err)) return done
        log.error({ err, id: each.outcome.id }, 'result refused by Redis, not mirrored')
      }
      done.push(each)
    }
    return done
  }

  const pump = createPump({
    hasWork: () => waiting.count > 0 && !connection.closed,
    turn: writeNext,
    onFailure(error) {
      if (apart) waiting.stopWaiting()
      health.failed(error as Error, waiting.count)
    },
    backoff: BACKOFF,
  })

  return {
    of: (worker) => ({
      write(stored) {
        if (stored.length === 0) return Promise.resolve()
        const documents = stored.map((each) => ({ ...each, document: resultDocument(each.outcome, { worker, origin }) }))
        const written = waiting.add(documents)
        pump.wakeNow()
        return apart && health.isAway ? Promise.resolve() : written
      },
    }),
    async close() {
      await waitAtMost(pump.idle(), CLOSE_MS)
      void pump.stop()
      waiting.stopWaiting()
      const results = waiting.count + waiting.dropped
      if (results > 0) log.error({ results }, 'Redis is away, these results were not mirrored to it')
    },
  }
}

interface Document extends StoredOutcome {
  readonly document: string
}

interface Waiting extends Document {
  /** Resolves the wait of an acknowledgement for this result. */
  readonly release: () => void
}

/** The results that are not yet written. If the server is not the broker's, their number is limited. */
function createWaitingResults({ log, apart }: Pick<RedisMirrorOptions, 'log' | 'apart'>) {
  let waiting: Waiting[] = []
  let chars = 0
  let dropped = 0

  const forget = ({ document, release }: Waiting) => {
    chars -= document.length
    release()
  }

  /** Drops the oldest results above the limits, because their readers have waited longest and have probably given up. */
  const trim = () => {
    if (!apart || (waiting.length <= MAX_WAITING && (chars <= MAX_WAITING_CHARS || waiting.length === 1))) return
    if (dropped === 0) log.warn({ results: waiting.length }, 'too many results wait for Redis, the oldest are not mirrored')
    const oldest = waiting.splice(0, Math.ceil(waiting.length / 4))
    dropped += oldest.length
    for (const each of oldest) forget(each)
  }

  return {
    get count() {
      return waiting.length
    },
    get dropped() {
      return dropped
    },
    first: (count: number): readonly Waiting[] => waiting.slice(0, count),
    /** Adds results. Resolves when all these results are released. */
    add(documents: readonly Document[]): Promise<void> {
      const released = new Promise<void>((resolve) => {
        let left = documents.length
        const release = () => {
          if (--left === 0) resolve()
        }
        for (const each of documents) {
          waiting.push({ ...each, release })
          chars += each.document.length
        }
      })
      trim()
      return released
    },
    /** Removes results that were written or refused. Some may already have been dropped. */
    release(done: readonly Waiting[]) {
      const all = new Set(done)
      waiting = waiting.filter((each) => {
        if (!all.has(each)) return true
        forget(each)
        return false
      })
    },
    /** Releases the waiting acknowledgements, but keeps the results. */
    stopWaiting() {
      for (const { release } of waiting) release()
    },
    reportDropped() {
      if (dropped > 0) log.error({ results: dropped }, 'Redis was away for too long, these results were not mirrored to it')
      dropped = 0
    },
  }
}

/**
 * Keeps whether the last write succeeded, and logs changes. The connection logs its own loss; every other reason is logged once.
 */
function createHealth(log: Log) {
  let away = false
  let logged = ''
  return {
    get isAway() {
      return away
    },
    failed(error: Error, results: number) {
      away = true
      const { message: reason } = error
      if (isRedisConnectionError(error) || reason === logged) return
      logged = reason
      log.warn({ reason, results }, 'results cannot be mirrored to Redis now, trying again until they can')
    },
    recovered() {
      away = false
      logged = ''
    },
  }
}

/** @returns a function that writes a batch within a timeout */
function createWriter(connection: RedisConnection, { prefix = '', ttlSeconds, onWritten }: RedisMirrorOptions) {
  const put = async (batch: readonly Waiting[]): Promise<void> => {
    const keys = batch.map(({ outcome }) => `${prefix}celery-task-meta-${outcome.id}`)
    await connection.pipeline([scriptCommand(MIRROR, keys, [ttlSeconds, ...batch.map(({ document }) => document)])])
    for (const { message, outcome } of batch)
      if (message !== undefined && READY_STATES.has(outcome.state)) await onWritten?.(message, outcome)
  }
  return (batch: readonly Waiting[]): Promise<void> =>
    withTimeout(put(batch), ATTEMPT_MS, () => {
      throw new Error(`no answer within ${ATTEMPT_MS} ms`)
    })
}

/** Returns true if the error concerns one key, not the server. */
const isPoison = (error: unknown) => (error as Error).message.startsWith('WRONGTYPE')

/**
 * Returns the result document: Celery's keys in Celery's order, then `origin`. For a running task, `result` and `date_done` have
 * the values that Celery writes for STARTED.
 */
export function resultDocument(
  { id, state, result, traceback, doneAt }: Outcome,
  { worker, origin }: { readonly worker: string; readonly origin: string },
): string {
  const value = state === 'STARTED' ? JSON.stringify({ pid: process.pid, hostname: worker }) : (result ?? 'null')
  const dateDone = doneAt === null ? 'null' : `"${new Date(doneAt).toISOString().replace('Z', '000+00:00')}"`
  return `{"status": "${state}", "result": ${value}, "traceback": ${JSON.stringify(traceback)}, "children": [], "date_done": ${dateDone}, "task_id": ${JSON.stringify(id)}${originSuffix(origin)}`
}

/** Returns the text with which every document of this application ends. */
export const originSuffix = (origin: string): string => `, "origin": "${origin}"}`
