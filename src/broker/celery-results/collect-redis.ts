import type { Redis } from 'ioredis'
import { retry } from '../../concurrency/retry.ts'
import { isConnectionError } from '../../concurrency/transient.ts'
import { waitAtMost } from '../../concurrency/with-timeout.ts'
import type { Database } from '../../database/database.ts'
import { sql } from '../../database/sql.ts'
import type { Log } from '../../log.ts'
import type { Message } from '../../message/message.ts'
import type { RedisConnection } from '../redis/connection.ts'
import { replyAddress } from '../reply-address.ts'
import { type KnownTask, readResultDocument } from './document.ts'
import { followersOf } from './followers.ts'
import { markOf } from './mirror.ts'
import { createOutcomeCollector, isFinal } from './store.ts'

const BACKOFF = { firstMs: 100, maxMs: 5000 }
/** Tasks whose results are waited for. Those that our own workers run without a mirror are among them until they are swept out. */
const MAX_EXPECTED = 20_000
/** Ids in one command. */
const AT_ONCE = 500
/** Who sends does not wait longer for the subscription; while Redis is away not at all. Milliseconds. */
const SUBSCRIBE_MS = 1000
const CLOSE_MS = 1000

/** Results that Celery's workers leave in Redis, for what this process has sent (RESULT_COLLECT=on). */
export interface RedisCollect {
  /** To be called before the messages are sent, so that none of their results is missed. Does not reject. */
  expect(messages: readonly Message[]): Promise<void>
  /** Waits for members of open chords too: whoever sent them may be gone, and nobody else asks for their results. Does not reject. */
  recover(): Promise<void>
  close(): Promise<void>
}

export interface RedisCollectOptions {
  /** For questions, and for waiting: a connection that waits does nothing else. */
  readonly commands: RedisConnection
  readonly listening: RedisConnection
  readonly database: Database
  readonly log: Log
  /** Before the names of the keys. */
  readonly prefix?: string
}

/**
 * One subscription for each task that is waited for, as Celery's clients do it, and not a pattern for all of them: channels belong to the
 * whole server, so each process would be sent every result of every application there. After each reconnection those that are still
 * waited for are looked up with MGET, because what was told meanwhile was told to nobody.
 */
export function createRedisCollect({ commands, listening, database, log, prefix = '' }: RedisCollectOptions): RedisCollect {
  const start = `${prefix}celery-task-meta-`
  const expected = new Map<string, KnownTask>()
  const ending = new AbortController()
  let mark = ''
  let attached: Promise<void> | undefined
  let sweeping = false
  let ended: string[] = []

  const collector = createOutcomeCollector<string>(database, log, () => {})

  const attach = async () => {
    mark = markOf(await replyAddress(database))
    listening.onReady((client) => void subscribeAll(client))
    const client = await listening.ready()
    client.on('message', (channel: string, text: string) => {
      if (channel.startsWith(start)) hear(channel.slice(start.length), text)
    })
    await subscribeAll(client)
  }

  /** What is written by this application itself is in the database already. */
  const hear = (id: string, text: string) => {
    const known = expected.get(id)
    if (known === undefined) return
    if (text.endsWith(mark)) {
      if (!text.startsWith('{"status": "STARTED"')) forget([id])
      return
    }
    const outcome = readResultDocument(text, known)
    if (outcome?.id !== id) return
    if (isFinal(outcome)) forget([id])
    collector.add(outcome, id)
  }

  /** What ends in one turn of the event loop leaves with one command. */
  const forget = (ids: readonly string[]) => {
    for (const id of ids) expected.delete(id)
    if (ended.length === 0) setImmediate(unsubscribe)
    ended.push(...ids)
  }

  const unsubscribe = () => {
    const channels = ended.map((id) => start + id)
    ended = []
    if (listening.closed) return
    const leave = async (client: Redis) => {
      for (let from = 0; from < channels.length; from += AT_ONCE)
        await client.unsubscribe(...channels.slice(from, from + AT_ONCE))
    }
    // A connection that is lost has no subscriptions, and the next one will not have these.
    void listening
      .ready(SUBSCRIBE_MS)
      .then(leave)
      .catch(() => {})
  }

  const subscribeAll = async (client: Redis) => {
    const ids = [...expected.keys()]
    try {
      for (let from = 0; from < ids.length; from += AT_ONCE) {
        const some = ids.slice(from, from + AT_ONCE)
        await client.subscribe(...some.map((id) => start + id))
        await lookUp(some)
      }
    } catch (error) {
      log.debug(
        { reason: (error as Error).message },
        'results in Redis cannot be waited for now, looked up after the next connection',
      )
    }
  }

  const lookUp = async (ids: readonly string[]) => {
    await commands.ready()
    const [documents] = await commands.pipeline([['MGET', ...ids.map((id) => start + id)]])
    for (const [at, document] of (documents as (string | null)[]).entries()) if (document !== null) hear(ids[at]!, document)
  }

  /** Most of what is waited for in vain was run by workers of our own: the database knows. Beyond that the oldest goes. */
  const sweep = async () => {
    if (sweeping) return
    sweeping = true
    try {
      const oldest = [...expected.keys()].slice(0, MAX_EXPECTED / 2)
      forget((await database.query<{ id: string }>(sql('result-done'), [oldest])).map(({ id }) => id))
    } catch (error) {
      log.debug({ reason: (error as Error).message }, 'the database does not say which tasks have ended')
    }
    sweeping = false
    const tooMany = [...expected.keys()].slice(0, Math.max(0, expected.size - MAX_EXPECTED))
    if (tooMany.length > 0) {
      forget(tooMany)
      log.warn(
        { tasks: tooMany.length },
        'too many results are waited for in Redis, those of the oldest tasks will not be collected',
      )
    }
  }

  const waitFor = async (tasks: readonly Awaited[]) => {
    const fresh = tasks.filter(({ id }) => !expected.has(id))
    for (const { id, task, queue } of fresh) expected.set(id, { task, queue })
    if (expected.size > MAX_EXPECTED) void sweep()
    if (attached === undefined) {
      // The subscriptions of the first are made together with the connection.
      attached = attach()
      attached.catch(() => {
        attached = undefined
      })
      await waitAtMost(attached.catch(ignore), SUBSCRIBE_MS)
      return
    }
    if (fresh.length > 0) await waitAtMost(subscribe(fresh.map(({ id }) => id)).catch(ignore), SUBSCRIBE_MS)
  }

  return {
    expect: (messages) => waitFor(messages.flatMap(awaited)),
    async recover() {
      const ask = () => database.query<{ id: string }>(sql('chord-open-members'), [MAX_EXPECTED / 2])
      try {
        const rows = await retry(ask, { ...BACKOFF, isRetryable: isConnectionError, signal: ending.signal })
        if (rows.length > 0) await waitFor(rows.map(({ id }) => ({ id, task: null, queue: null })))
      } catch (err) {
        if (!ending.signal.aborted) log.error({ err }, 'members of open chords cannot be looked up')
      }
    },
    async close() {
      ending.abort()
      await waitAtMost(collector.flush(), CLOSE_MS)
    },
  }

  /** While Redis is away nobody waits: all of them are subscribed to when it is back. */
  async function subscribe(ids: readonly string[]): Promise<void> {
    const client = await listening.ready(1)
    for (let from = 0; from < ids.length; from += AT_ONCE) {
      const some = ids.slice(from, from + AT_ONCE)
      await client.subscribe(...some.map((id) => start + id))
      // An id that was used before may have its outcome already: Celery's workers do not tell it again.
      void lookUp(some).catch(() => {})
    }
  }
}

/** A task that is waited for; null: nobody here knows. */
interface Awaited extends KnownTask {
  readonly id: string
}

/** A task and what may follow from it elsewhere; but not one that leaves no result. */
function awaited(message: Message): readonly Awaited[] {
  const { headers, queue } = message
  const followers = followersOf(message)
  return headers.ignore_result === true ? followers : [{ id: headers.id, task: headers.task, queue }, ...followers]
}

const ignore = () => {}
