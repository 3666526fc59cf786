import { retry } from '../concurrency/retry.ts'
import { isConnectionError } from '../concurrency/transient.ts'
import type { Database } from '../database/database.ts'
import { sql } from '../database/sql.ts'
import type { Log } from '../log.ts'
import type { ConsumeOptions } from './broker.ts'

/** Half a second: a dead worker's messages are back within a second of its death. */
const REAP_EVERY_MS = 500
/** After a reconnection the other workers have this time to take their locks again before any worker is declared dead. */
const REAP_AFTER_RECONNECT_MS = 3000

/** A row in table `worker`, for workers of PostgreSQL and of RabbitMQ. Redis has its own register (redis/worker.ts). */
export interface WorkerSession {
  /** Another one after the worker was declared dead and registered again. */
  readonly id: number
  /** Deletes the row and requeues the messages that it still holds. */
  leave(): Promise<void>
}

export interface WorkerSessionOptions extends Pick<ConsumeOptions, 'name' | 'queues' | 'concurrency'> {
  readonly log: Log
  /** Called when the queues may hold messages. */
  readonly wake: () => void
  /** The connection is back. Another worker may have requeued the messages of this one meanwhile. */
  readonly onReconnected?: (how: { readonly declaredDead: boolean }) => void
}

/**
 * Registers a worker. It is alive while its session holds the advisory lock of its row. The server releases the lock the moment the
 * connection ends, so a kill -9 is noticed without a heartbeat, and a busy event loop cannot lose its messages. A worker that is the only
 * one registered sends no queries to look for dead ones.
 */
export async function openWorkerSession(database: Database, options: WorkerSessionOptions): Promise<WorkerSession> {
  const { log, wake } = options
  const key = `${database.schema}.worker`
  let id = 0
  let left = false

  const register: Parameters<Database['listener']['session']>[0] = async (client) => {
    if (left) return
    const { name, text } = database.qualify(sql('worker-reconnect'))
    const isBack = id > 0 && (await client.query({ name, text, values: [key, id] })).rows.length === 1
    if (isBack) return options.onReconnected?.({ declaredDead: false })
    const insert = database.qualify(sql('worker-register'))
    const values = [key, options.name, options.queues, options.concurrency]
    const { rows } = await client.query({ name: insert.name, text: insert.text, values })
    const former = id
    id = rows[0].id
    if (former > 0) {
      log.warn({ former, id }, 'declared dead while the connection was away, registered again')
      options.onReconnected?.({ declaredDead: true })
    }
    await client.query('SELECT pg_notify($1, $2)', [database.channel('worker'), String(id)])
  }
  let isAsked = false
  await untilConnected<unknown>(() => {
    // The listener runs `register` with every new connection, so after a failure only the connection has to be awaited.
    if (isAsked) return database.listener.query('SELECT 1')
    isAsked = true
    return database.listener.session(register)
  })
  const reaper = createReaper(database, { key, workerId: () => id, log, wake })
  const subscriptions = await subscribe(database, { ...options, reaper, workerId: () => id })
  await untilConnected(reaper.reap)

  return {
    get id() {
      return id
    },
    async leave() {
      left = true
      reaper.stop()
      database.listener.endSession(register)
      for (const subscription of subscriptions) await subscription.stop()
      try {
        await database.transaction(async (client) => {
          await client.query(sql('worker-unregister'), [id])
          await client.query(sql('worker-requeue'), [[id], 0, database.channel('message')])
        })
        await database.listener.query('SELECT pg_advisory_unlock(hashtext($1), $2)', [key, id])
      } catch (error) {
        log.warn({ reason: (error as Error).message }, 'could not sign off, another worker requeues its messages')
      }
    },
  }
}

interface Reaper {
  /** Declares workers dead whose lock is free, and requeues their messages. */
  reap(): Promise<void>
  /** Reaps soon, and again as long as there are other workers. */
  schedule(): void
  /** Reaps nothing until the other workers had time to take their locks again. */
  postpone(): void
  stop(): void
}

function createReaper(
  database: Database,
  { key, workerId, log, wake }: { key: string; workerId: () => number; log: Log; wake: () => void },
): Reaper {
  let timer: NodeJS.Timeout | undefined
  let stopped = false
  let notBefore = 0

  const reap = async () => {
    if (stopped) return
    // A worker without its own lock must not judge others: after a restart of the server no worker has its lock yet.
    if (!database.listener.connected || performance.now() < notBefore) return schedule()
    const row = await database.transaction(async (client) => {
      const [found] = await client.query<{ names: string[]; ids: number[]; peers: number }>(sql('worker-reap'), [key, workerId()])
      if (found !== undefined && found.ids.length > 0)
        await client.query(sql('worker-requeue'), [found.ids, 1, database.channel('message')])
      return found
    })
    if (row === undefined) return
    for (const name of row.names) log.warn({ worker: name }, 'worker is dead, its messages are requeued')
    // Also without messages: claims passed over the rows that the dead worker had locked.
    if (row.names.length > 0) wake()
    if (row.peers > 0) schedule()
    else clearTimeout(timer)
  }

  const schedule = () => {
    clearTimeout(timer)
    if (!stopped) timer = setTimeout(reapQuietly, REAP_EVERY_MS)
  }

  const reapQuietly = () => {
    reap().catch((error: Error) => {
      log.debug({ reason: error.message }, 'could not look for dead workers')
      schedule()
    })
  }

  return {
    reap,
    schedule,
    postpone() {
      notBefore = performance.now() + REAP_AFTER_RECONNECT_MS
    },
    stop() {
      stopped = true
      clearTimeout(timer)
    },
  }
}

async function subscribe(
  database: Database,
  { queues, wake, reaper, workerId }: WorkerSessionOptions & { readonly reaper: Reaper; readonly workerId: () => number },
) {
  const wanted = new Set(queues)
  const onMessage = (queue: string) => {
    if (wanted.has(queue)) wake()
  }
  const onReconnected = () => {
    reaper.postpone()
    wake()
    reaper.schedule()
  }
  const onWorker = (registered: string) => {
    if (registered !== String(workerId())) reaper.schedule()
  }
  const { listener } = database
  return [
    await untilConnected(() => listener.listen(database.channel('message'), onMessage, onReconnected)),
    await untilConnected(() => listener.listen(database.channel('worker'), onWorker)),
  ]
}

/** A worker that starts while the database is away waits for it: an exit would only mean another start. */
const untilConnected = <T>(work: () => Promise<T>): Promise<T> =>
  retry(work, { firstMs: 100, maxMs: 2000, isRetryable: isConnectionError })
