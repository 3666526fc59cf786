import { retry } from '../../concurrency/retry.ts'
import type { Log } from '../../log.ts'
import { isRedisConnectionError, type RedisConnection, scriptCommand } from './connection.ts'
import type { RedisKeys } from './keys.ts'
import { BEAT, REAP, RESTORE } from './scripts-lease.ts'

/** A worker is dead if it has no connection and gave no sign of life for this long. Seconds. */
const LEASE_S = 3
const BEAT_EVERY_MS = 1000
const START = { firstMs: 100, maxMs: 2000 }
/**
 * A worker without a sign of life counts as alive while its connection is open, because its event loop may be busy. After this
 * time it is dead anyway, because its machine may have vanished. Milliseconds.
 */
const SILENT_TOO_LONG_MS = 120_000
/**
 * After a reconnection the other workers have this time to give a sign of life before any worker is declared dead. Milliseconds.
 */
const REAP_AFTER_RECONNECT_MS = 3000
/**
 * Every fifth sign of life also renews the entries of held messages. This is often enough to stop Python workers from restoring
 * these messages, unless their visibility timeout is below ten seconds.
 */
const RENEW_EVERY_BEATS = 5
const RESTORE_EVERY_BEATS = 300
const MAX_RESTORED = 100

export const REMEMBER_DEATHS_S = 7 * 86_400

export interface RedisWorker {
  /** Name of the worker among the workers: connection, number and `celery@host`. */
  readonly id: string
  /** Gives a sign of life at once. */
  register(): Promise<void>
  /** Requeues the messages that this worker holds, and removes its registration. */
  leave(): Promise<void>
  /** Stops the signs of life without sending a command to Redis. */
  stop(): void
}

export interface RedisWorkerOptions {
  readonly id: string
  readonly connection: RedisConnection
  readonly keys: RedisKeys
  readonly prefix: string
  /** Entries of `unacked` that are older than this are restored. Seconds. */
  readonly visibilitySeconds: number
  readonly log: Log
  readonly wake: () => void
}

/**
 * Registers a worker. A worker is alive while it renews its lease or its connection is open. kill -9 ends both at once. With a
 * busy event loop only the lease ends, with a broken network only the connection, so in neither case does the worker lose its
 * messages.
 */
export async function registerRedisWorker(options: RedisWorkerOptions): Promise<RedisWorker> {
  const { id, connection, keys, log } = options
  let reapNotBefore = 0
  let beats = 0
  let stopped = false
  let beating: Promise<void> | undefined
  let timer: NodeJS.Timeout | undefined

  const beat = async () => {
    const renew = beats % RENEW_EVERY_BEATS === RENEW_EVERY_BEATS - 1 ? 1 : 0
    const reply = (await connection.run(BEAT, [keys.workers, keys.index, keys.held(id)], [id, LEASE_S, renew])) as [
      number,
      ...string[],
    ]
    const [known, ...overdue] = reply
    if (known === 0 && beats > 0) log.warn({ id }, 'declared dead while the connection was away, registered again')
    beats++
    if (overdue.length > 0 && performance.now() >= reapNotBefore) await reapDead(overdue, options)
    if (beats % RESTORE_EVERY_BEATS === 0) await restoreAbandoned(options)
  }

  const next = () => {
    if (stopped || connection.closed) return
    timer = setTimeout(() => {
      beating = beat()
        .catch((error: Error) => log.debug({ reason: error.message }, 'could not give a sign of life'))
        .finally(next)
    }, BEAT_EVERY_MS)
  }

  const stopWatching = connection.onReady(() => {
    reapNotBefore = performance.now() + REAP_AFTER_RECONNECT_MS
  })
  // A worker that starts while Redis is away waits for it. If the worker exited, the supervisor would only start it again.
  await retry(beat, { ...START, isRetryable: (error) => !connection.closed && isRedisConnectionError(error) })
  next()

  const stop = () => {
    stopped = true
    clearTimeout(timer)
    stopWatching()
  }
  return {
    id,
    register: beat,
    stop,
    async leave() {
      stop()
      await beating
      await connection.pipeline([scriptCommand(REAP, reapKeys(keys, id), [id, keys.wakeChannel, REMEMBER_DEATHS_S, 1])])
    },
  }
}

/**
 * Declares overdue workers dead, unless they are still connected.
 * @param overdue pairs of a worker and the milliseconds since its lease ended
 */
async function reapDead(overdue: readonly string[], options: RedisWorkerOptions): Promise<void> {
  const connected = await connectedNames(options.connection)
  for (let at = 0; at < overdue.length; at += 2) {
    const worker = overdue[at] ?? ''
    const isConnected = connected.has(worker.slice(0, worker.indexOf('/')))
    if (!isConnected || Number(overdue[at + 1]) > SILENT_TOO_LONG_MS) await reap(worker, options)
  }
}

async function reap(worker: string, { connection, keys, log, wake }: RedisWorkerOptions): Promise<void> {
  const count = await connection.run(REAP, reapKeys(keys, worker), [worker, keys.wakeChannel, REMEMBER_DEATHS_S, 0])
  if (count === -1) return
  log.warn({ worker: worker.slice(worker.indexOf(' ') + 1), messages: count }, 'worker is dead, its messages are requeued')
  wake()
}

async function restoreAbandoned({ connection, keys, log, visibilitySeconds, prefix }: RedisWorkerOptions): Promise<void> {
  const args = [visibilitySeconds, prefix, keys.wakeChannel, MAX_RESTORED]
  const reply = await connection.run(RESTORE, [keys.unacked, keys.index, keys.sleepers], args)
  const [count, ...tags] = reply as [number, ...string[]]
  if (count > 0) log.warn({ messages: count }, 'messages without an acknowledgement are handed out again')
  if (tags.length > 0)
    log.error({ key: keys.unacked, tags }, 'unreadable messages without an acknowledgement are left in unacked')
}

const reapKeys = (keys: RedisKeys, worker: string) => [
  keys.unacked,
  keys.index,
  keys.deaths,
  keys.workers,
  keys.held(worker),
  keys.begun(worker),
  keys.broken(worker),
  keys.sleepers,
]

/** Returns the names of all connections of the server. Empty if the server refuses CLIENT LIST: then only the lease counts. */
async function connectedNames(connection: RedisConnection): Promise<Set<string>> {
  const list = String(await connection.pipeline([['CLIENT', 'LIST']]).catch(() => ''))
  return new Set(Array.from(list.matchAll(/ name=(\S+)/g), ([, name]) => name ?? ''))
}
