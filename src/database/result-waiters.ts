import type { StoredResult } from '../app/results/stored-result.ts'
import { pauseMs, retry } from '../concurrency/retry.ts'
import { sleep } from '../concurrency/sleep.ts'
import { isTransient } from '../concurrency/transient.ts'
import type { Database } from './database.ts'
import { parseNotification } from './notified-outcomes.ts'
import { type ResultRow, toStored } from './result-row.ts'
import { sql } from './sql.ts'

const BACKOFF = { firstMs: 50, maxMs: 2000 }
/** Number of ids that are remembered as pending. For any further id, `wait` queries the table first. */
const MAX_PENDING = 10_000
/** Number of results that are kept for a later `wait`. Each arrived in a notification, so it is small. */
const MAX_EARLY = 100

/** Creates the one subscription of a process to results. All waiting calls share it. */
export function createWaiters(database: Database) {
  /** Ids that this process sent while it listened and that had no notification yet. It cannot have missed their notifications. */
  const pending = new Set<string>()
  /** Results whose notification arrived before `wait` was called: RabbitMQ may confirm a message when its task has already ended. */
  const early = new Map<string, StoredResult>()
  let listening = false
  const waiting = new Map<string, Set<(stored: StoredResult) => void>>()
  let subscribed: Promise<unknown> | undefined
  let checking = false
  let checkAgain = false

  const settle = (stored: StoredResult) => {
    const set = waiting.get(stored.id)
    waiting.delete(stored.id)
    for (const resolve of set ?? []) resolve(stored)
  }

  /** Runs one query for all waiting calls, and repeats it if a notification arrived meanwhile. */
  const check = async () => {
    if (checking) {
      checkAgain = true
      return
    }
    checking = true
    for (let attempt = 0; waiting.size > 0; ) {
      checkAgain = false
      try {
        const rows = await database.query<ResultRow>(sql('result-ready'), [[...waiting.keys()]])
        for (const row of rows) settle(toStored(row)!)
        if (!checkAgain) break
        attempt = 0
      } catch {
        // If only this connection broke and the listening connection did not, no reconnection would start this query again.
        await sleep(pauseMs(attempt++, BACKOFF))
      }
    }
    checking = false
  }

  /** Queries every id again, because a notification contained no ids. */
  const checkAll = () => {
    pending.clear()
    void check()
  }

  /**
   * Reads a payload. Any client of the database can notify the channel, so a payload that cannot be parsed means "query the
   * table".
   */
  const parse = (payload: string): StoredResult[] => {
    try {
      return parseNotification(payload)
    } catch {
      checkAll()
      return []
    }
  }

  const onNotify = (payload: string) => {
    if (waiting.size === 0 && pending.size === 0) return
    if (payload === '') return checkAll()
    for (const stored of parse(payload)) {
      const own = pending.delete(stored.id)
      if (!waiting.has(stored.id)) {
        if (own && stored.state === 'SUCCESS') keep(stored)
        continue
      }
      if (stored.state === 'SUCCESS') settle(stored)
      else void check()
    }
  }

  const keep = (stored: StoredResult) => {
    early.set(stored.id, stored)
    const [oldest = ''] = early.keys()
    if (early.size > MAX_EARLY) early.delete(oldest)
  }

  const look = async (id: string) => {
    // Retries while the database is away. The caller's timeout limits the wait.
    const listen = () => database.listener.listen(database.channel('result'), onNotify, checkAll)
    subscribed ??= retry(listen, { ...BACKOFF, isRetryable: isTransient }).catch((error) => {
      subscribed = undefined
      throw error
    })
    await subscribed
    listening = true
    // A task may have ended before the subscription began. This process received no notification of its end.
    if (!pending.has(id)) await check()
  }

  return {
    forget: (id: string) => early.delete(id),
    sending(ids: readonly string[]): void {
      if (!listening) return
      for (const id of ids) if (pending.size < MAX_PENDING) pending.add(id)
    },
    async wait(id: string, signal: AbortSignal): Promise<StoredResult | undefined> {
      if (signal.aborted) return undefined
      const notified = early.get(id)
      if (early.delete(id)) return notified
      let done: (stored: StoredResult | undefined) => void = () => {}
      const result = new Promise<StoredResult | undefined>((resolve) => {
        done = resolve
      })
      const set = waiting.get(id) ?? new Set()
      waiting.set(id, set.add(done))
      const onAbort = () => done(undefined)
      signal.addEventListener('abort', onAbort, { once: true })
      try {
        // A slow connection or query must not outlast the caller's timeout.
        await Promise.race([look(id), result])
        return await result
      } finally {
        signal.removeEventListener('abort', onAbort)
        set.delete(done)
        if (set.size === 0 && waiting.get(id) === set) waiting.delete(id)
      }
    },
  }
}
