import type { Redis } from 'ioredis'
import { retry } from '../../concurrency/retry.ts'
import { isTransient } from '../../concurrency/transient.ts'
import { waitAtMost } from '../../concurrency/with-timeout.ts'
import type { Database } from '../../database/database.ts'
import { sql } from '../../database/sql.ts'
import type { Log } from '../../log.ts'
import type { Message } from '../../message/message.ts'
import type { RedisConnection } from '../redis/connection.ts'
import { replyAddress } from '../reply-address.ts'
import { type KnownTask, readResultDocument } from './document.ts'
import { followersOf } from './followers.ts'
import { originSuffix } from './mirror.ts'
import { createOutcomeCollector, isFinal } from './store.ts'

const BACKOFF = { firstMs: 100, maxMs: 5000 }
/**
 * Most tasks whose results are expected. Until the sweep removes them, these include tasks that workers of this application run
 * without a mirror.
 */
const MAX_EXPECTED = 20_000
/** Most ids in one command. */
const AT_ONCE = 500
/** A sender waits at most this long for the subscription, and not at all while Redis is away. Milliseconds. */
const SUBSCRIBE_MS = 1000
const CLOSE_MS = 1000

/** Results that Celery's workers write to Redis, for tasks that this process sent (RESULT_COLLECT=on). */
export interface RedisCollect {
  /** Call before the messages are sent, so that none of their results is missed. Does not reject. */
  expect(messages: readonly Message[]): Promise<void>
  /**
   * Also expects the results of members of open chords, because their sender may have ended, and no other process collects them.
   * Does not reject.
   */
  recover(): Promise<void>
  close(): Promise<void>
}

export interface RedisCollectOptions {
  readonly commands: RedisConnection
  /** A connection with subscriptions accepts no other commands. */
  readonly listening: RedisConnection
  readonly database: Database
  readonly log: Log
  /** Prefix of the keys of results. Default: none. */
  readonly prefix?: string
}

/**
 * Subscribes to one channel for each expected task, as Celery's clients do. A pattern subscription would deliver the results of
 * every application on the server to every process, because channels belong to the whole server. After each reconnection, MGET
 * looks up the results that are still expected, because notifications during the outage are lost.
 */
export function createRedisCollect(options: RedisCollectOptions): RedisCollect {
  const { listening, database, log } = options
  const ending = new AbortController()
  const expected = new Map<string, KnownTask>()
  const channels = createResultChannels(options)
  const collector = createOutcomeCollector<string>(database, log, () => {})
  let ownSuffix = ''
  let attached: Promise<void> | undefined

  const attach = async () => {
    ownSuffix = originSuffix(await replyAddress(database))
    listening.onReady((client) => void subscriptions.toAll(client))
    const client = await listening.ready()
    channels.onResult(client, hear)
    await subscriptions.toAll(client)
  }

  const hear = (id: string, text: string) => {
    const known = expected.get(id)
    if (known === undefined) return
    // Documents of this application are skipped, because their results are already in the database.
    if (text.endsWith(ownSuffix)) {
      if (!text.startsWith('{"status": "STARTED"')) forget([id])
      return
    }
    const outcome = readResultDocument(text, known)
    if (outcome?.id !== id) return
    if (isFinal(outcome)) forget([id])
    collector.add(outcome, id)
  }

  const forget = (ids: readonly string[]) => {
    for (const id of ids) expected.delete(id)
    channels.leave(ids)
  }

  const sweep = createSweep({ database, log, expected, forget })

  const subscriptions = createSubscriptions(options, { expected, channels, hear })

  const waitFor = async (tasks: readonly ExpectedTask[]) => {
    const fresh = tasks.filter(({ id }) => !expected.has(id))
    for (const { id, task, queue } of fresh) expected.set(id, { task, queue })
    if (expected.size > MAX_EXPECTED) void sweep()
    if (attached === undefined) {
      // For the first tasks, `attach` opens the connection and subscribes.
      attached = attach()
      attached.catch(() => {
        attached = undefined
      })
      await waitAtMost(attached.catch(ignore), SUBSCRIBE_MS)
      return
    }
    if (fresh.length > 0) await waitAtMost(subscriptions.to(fresh.map(({ id }) => id)).catch(ignore), SUBSCRIBE_MS)
  }

  return {
    expect: (messages) => waitFor(messages.flatMap(expectedTasks)),
    async recover() {
      const ask = () => database.query<{ id: string }>(sql('chord-open-members'), [MAX_EXPECTED / 2])
      try {
        const rows = await retry(ask, { ...BACKOFF, isRetryable: isTransient, signal: ending.signal })
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
}

interface SubscriptionsParts {
  readonly expected: ReadonlyMap<string, unknown>
  readonly channels: ReturnType<typeof createResultChannels>
  readonly hear: (id: string, text: string) => void
}

/** Subscribes to results, and looks up results that already exist. */
function createSubscriptions({ listening, log }: RedisCollectOptions, { expected, channels, hear }: SubscriptionsParts) {
  const lookUp = async (ids: readonly string[]) => {
    for (const [id, document] of await channels.documents(ids)) hear(id, document)
  }

  return {
    async toAll(client: Redis) {
      try {
        for (const ids of chunks([...expected.keys()])) {
          await channels.join(client, ids)
          await lookUp(ids)
        }
      } catch (error) {
        const { message: reason } = error as Error
        log.debug({ reason }, 'results in Redis cannot be waited for now, looked up after the next connection')
      }
    },
    /**
     * Subscribes to the results of these tasks. Rejects at once while Redis is away: after the reconnection `toAll` subscribes
     * to them.
     */
    async to(all: readonly string[]) {
      const client = await listening.ready(1)
      for (const ids of chunks(all)) {
        await channels.join(client, ids)
        // If an id was used before, its result may already exist, and Celery's workers do not publish it again.
        void lookUp(ids).catch(ignore)
      }
    },
  }
}

/** The channels and keys of results, `celery-task-meta-<id>`. */
function createResultChannels({ commands, listening, prefix = '' }: RedisCollectOptions) {
  const start = `${prefix}celery-task-meta-`
  const nameOf = (id: string) => start + id
  let leaving: string[] = []

  const unsubscribe = () => {
    const ids = leaving
    leaving = []
    if (listening.closed) return
    const run = async (client: Redis) => {
      for (const some of chunks(ids)) await client.unsubscribe(...some.map(nameOf))
    }
    // Failures are ignored: a lost connection has no subscriptions, and after the reconnection these ids are not subscribed
    // again.
    void listening.ready(SUBSCRIBE_MS).then(run).catch(ignore)
  }

  return {
    onResult(client: Redis, listener: (id: string, text: string) => void) {
      client.on('message', (channel: string, text: string) => {
        if (channel.startsWith(start)) listener(channel.slice(start.length), text)
      })
    },
    async join(client: Redis, ids: readonly string[]) {
      await client.subscribe(...ids.map(nameOf))
    },
    /** Unsubscribes. All ids of one turn of the event loop are in one command. */
    leave(ids: readonly string[]) {
      if (leaving.length === 0) setImmediate(unsubscribe)
      leaving.push(...ids)
    },
    /** Reads the result documents that exist. Returns pairs of an id and its document. */
    async documents(ids: readonly string[]): Promise<[id: string, document: string][]> {
      await commands.ready()
      const [documents] = await commands.pipeline([['MGET', ...ids.map(nameOf)]])
      return (documents as (string | null)[]).flatMap((document, at) => (document === null ? [] : [[ids[at]!, document]]))
    },
  }
}

interface SweepParts {
  readonly database: Database
  readonly log: Log
  readonly expected: ReadonlyMap<string, unknown>
  forget(ids: readonly string[]): void
}

/**
 * @returns a function that forgets tasks whose outcomes are in the database, because workers of this application ran them, and
 * then the oldest tasks above the limit
 */
function createSweep({ database, log, expected, forget }: SweepParts) {
  let sweeping = false
  return async () => {
    if (sweeping) return
    sweeping = true
    try {
      const oldest = [...expected.keys()].slice(0, MAX_EXPECTED / 2)
      forget((await database.query<{ id: string }>(sql('result-done'), [oldest])).map(({ id }) => id))
    } catch (error) {
      log.debug({ reason: (error as Error).message }, 'ended tasks cannot be read from the database')
    }
    sweeping = false
    const surplus = [...expected.keys()].slice(0, Math.max(0, expected.size - MAX_EXPECTED))
    if (surplus.length === 0) return
    forget(surplus)
    log.warn(
      { tasks: surplus.length },
      'too many results are waited for in Redis, those of the oldest tasks will not be collected',
    )
  }
}

function* chunks(ids: readonly string[]): Generator<readonly string[]> {
  for (let from = 0; from < ids.length; from += AT_ONCE) yield ids.slice(from, from + AT_ONCE)
}

const ignore = () => {}

/** A task whose result is expected. `task` or `queue` is null if this process does not know it. */
interface ExpectedTask extends KnownTask {
  readonly id: string
}

/**
 * Returns the tasks whose results a message makes us expect: its own task, unless this ignores its result, and the tasks that
 * may follow on other workers.
 */
function expectedTasks(message: Message): readonly ExpectedTask[] {
  const { headers, queue } = message
  const followers = followersOf(message)
  return headers.ignore_result === true ? followers : [{ id: headers.id, task: headers.task, queue }, ...followers]
}
