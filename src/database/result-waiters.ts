import type { StoredResult } from '../app/results/stored-result.ts'
import { pauseMs, retry } from '../concurrency/retry.ts'
import { sleep } from '../concurrency/sleep.ts'
import { isConnectionError } from '../concurrency/transient.ts'
import type { Database } from './database.ts'
import { parseNotification } from './notified-outcomes.ts'
import { type ResultRow, toStored } from './result-row.ts'
import { sql } from './sql.ts'

const BACKOFF = { firstMs: 50, maxMs: 2000 }
/** Ids that are remembered as not yet heard of; beyond them `wait` looks first, as for any other. */
const MAX_UNHEARD = 10_000
/** Values that are kept for who will wait. Each came in one notification, so it is small. */
const MAX_EARLY = 100

/** The one subscription of a process for whoever waits for results. */
export function createWaiters(database: Database) {
  /** Sent by this process since it listens, and not heard of yet: nothing can have been missed. */
  const unheard = new Set<string>()
  /** Told before anybody waited: RabbitMQ confirms a message about when its task has ended. */
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

  /** One query for all that wait; another only when something was said meanwhile. */
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
        // Perhaps only this connection broke, and the one that listens did not: nobody else would call again.
        await sleep(pauseMs(attempt++, BACKOFF))
      }
    }
    checking = false
  }

  /** Something was said that is not known by id: every id has to be looked at again. */
  const checkAll = () => {
    unheard.clear()
    void check()
  }

  /** Anybody on this database may say something on the channel: what is not understood means "look yourselves". */
  const heard = (payload: string): StoredResult[] => {
    try {
      return parseNotification(payload)
    } catch {
      checkAll()
      return []
    }
  }

  const onNotify = (payload: string) => {
    if (waiting.size === 0 && unheard.size === 0) return
    if (payload === '') return checkAll()
    for (const stored of heard(payload)) {
      const own = unheard.delete(stored.id)
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
    // Who waits has said how long: a database that is away meanwhile is no answer.
    const listen = () => database.listener.listen(database.channel('result'), onNotify, checkAll)
    subscribed ??= retry(listen, { ...BACKOFF, isRetryable: isConnectionError }).catch((error) => {
      subscribed = undefined
      throw error
    })
    await subscribed
    listening = true
    // What ended before the subscription was heard by nobody.
    if (!unheard.has(id)) await check()
  }

  return {
    forget: (id: string) => early.delete(id),
    sending(ids: readonly string[]): void {
      if (!listening) return
      for (const id of ids) if (unheard.size < MAX_UNHEARD) unheard.add(id)
    },
    async wait(id: string, signal: AbortSignal): Promise<StoredResult | undefined> {
      if (signal.aborted) return undefined
      const told = early.get(id)
      if (early.delete(id)) return told
      let done: (stored: StoredResult | undefined) => void = () => {}
      const result = new Promise<StoredResult | undefined>((resolve) => {
        done = resolve
      })
      const set = waiting.get(id) ?? new Set()
      waiting.set(id, set.add(done))
      const onAbort = () => done(undefined)
      signal.addEventListener('abort', onAbort, { once: true })
      try {
        // Neither a slow connection nor a slow answer may outlast the caller's patience.
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
