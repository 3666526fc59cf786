import type { ResultBackend, StoredResult } from '../app/async-result.ts'
import type { State } from '../app/outcome.ts'
import { pauseMs, retry, sleep } from '../retry.ts'
import { type Database, isConnectionError, isRefusal } from './database.ts'
import { createGroupCommit } from './group-commit.ts'
import { sql } from './sql.ts'
import { readTold } from './told-outcomes.ts'

/** What is known of a task before it has a result. */
export interface Located {
  readonly task: string
  readonly state: State
  readonly queue: string
  /** When it will be queued; null when it is already. */
  readonly dueAt: Date | null
}

/** A task that is being sent; `args`: JSON text `[args, kwargs]`. */
export interface Sent {
  readonly id: string
  readonly task: string
  readonly queue: string
  readonly args: string
}

export interface Results extends ResultBackend {
  /** These ids are about to be sent by this process: what becomes of them will be heard, so `wait` need not look first. */
  sending(ids: readonly string[]): void
  /** Makes an id known, beside its message. */
  recordSent(sent: Sent): Promise<void>
  /** Looks into results, outbox and queue; undefined when the id is unknown. */
  locate(id: string): Promise<Located | undefined>
  /** Deletes results that ended more than `seconds` ago. @returns how many */
  cleanUp(seconds: number): Promise<number>
}

interface Row {
  id: string
  task: string
  state: State
  result: string | null
  traceback: string | null
  queue: string | null
  worker: string | null
  retries: number
  /** JSON `[args, kwargs]`; absent where a query does not ask for it. */
  args?: string | null
  created_at: Date
  started_at: Date | null
  done_at: Date | null
}

const CLEAN_UP_BATCH = 10_000
const BACKOFF = { firstMs: 50, maxMs: 2000 }

/** The results table, and the one subscription of a process for whoever waits on it. */
export function createResults(database: Database): Results {
  const waiters = createWaiters(database)
  const sent = createGroupCommit<Sent>(
    (rows) =>
      database.query(sql('result-sent'), [
        rows.map(({ id }) => id),
        rows.map(({ task }) => task),
        rows.map(({ queue }) => queue),
        rows.map(({ args }) => args),
      ]),
    isRefusal,
  )
  return {
    find: async (id) => toStored((await database.query<Row & Record<string, unknown>>(sql('result-find'), [id]))[0]),
    wait: waiters.wait,
    sending: waiters.sending,
    async forget(id) {
      waiters.forget(id)
      await database.query(sql('result-forget'), [id])
    },
    recordSent: (row) => sent.add(row),
    async locate(id) {
      const stored = (await database.query<Row & Record<string, unknown>>(sql('result-find'), [id]))[0]
      const row =
        stored ??
        (await database.query<{ task: string; queue: string; due_at: Date | null; state: State }>(sql('result-locate'), [id]))[0]
      if (row === undefined) return undefined
      const dueAt = 'due_at' in row ? (row.due_at as Date | null) : null
      return { task: row.task, state: row.state, queue: row.queue ?? '', dueAt }
    },
    async cleanUp(seconds) {
      for (let total = 0; ; ) {
        const [row] = await database.query<{ deleted: number }>(sql('result-clean-up'), [seconds, CLEAN_UP_BATCH])
        const deleted = row?.deleted ?? 0
        total += deleted
        if (deleted < CLEAN_UP_BATCH) return total
      }
    },
  }
}

/** Ids that are remembered as not yet heard of; beyond them `wait` looks first, as for any other. */
const MAX_UNHEARD = 10_000
/** Values that are kept for who will wait. Each came in one notification, so it is small. */
const MAX_EARLY = 100

function createWaiters(database: Database) {
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
        const rows = await database.query<Row & Record<string, unknown>>(sql('result-ready'), [[...waiting.keys()]])
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
      return readTold(payload)
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

function toStored(row: Row | undefined): StoredResult | undefined {
  if (row === undefined) return undefined
  const { created_at, started_at, done_at, result, args, ...rest } = row
  const times = { createdAt: created_at, startedAt: started_at, doneAt: done_at }
  return {
    ...rest,
    result: result === null ? null : JSON.parse(result),
    args: args == null ? null : JSON.parse(args)[0],
    ...times,
  }
}
