import type { Database } from '../database/database.ts'
import { sql } from '../database/sql.ts'
import { startStep } from '../database/start-step.ts'
import type { Log } from '../log.ts'
import type { ConsumeOptions } from './broker.ts'

/**
 * Interval of the search for dead workers. Half a second, so that a dead worker's messages are requeued within a second.
 * Milliseconds.
 */
const REAP_EVERY_MS = 500
/**
 * After a reconnection the other workers have this time to take their locks again before any worker is declared dead.
 * Milliseconds.
 */
const REAP_AFTER_RECONNECT_MS = 3000

/**
 * A worker's row in table `worker`, if the broker is PostgreSQL or RabbitMQ. Workers on Redis register in Redis
 * (redis/worker.ts).
 */
export interface WorkerSession {
  /** The worker's number. It changes if the worker is declared dead and registers again. */
  readonly id: number
  /** Deletes the row and requeues the messages that the worker still holds. */
  leave(): Promise<void>
}

export interface WorkerSessionOptions extends Pick<ConsumeOptions, 'name' | 'queues' | 'concurrency'> {
  readonly log: Log
  /** Called when the queues may hold messages. */
  readonly wake: () => void
  /**
   * Called when the connection is back. `declaredDead`: another worker declared this worker dead during the outage and requeued
   * its messages.
   */
  readonly onReconnected?: (how: { readonly declaredDead: boolean }) => void
}

/**
 * Registers a worker. A worker is alive while its session holds the advisory lock of its row. The server releases the lock as
 * soon as the connection ends, so a kill -9 is noticed without a heartbeat, and a worker with a busy event loop does not lose
 * its messages. While only one worker is registered, it sends no queries to find dead workers.
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
  await startStep<unknown>(() => {
    // The listener calls `register` on every new connection, so after a failure it is enough to wait for the connection.
    if (isAsked) return database.listener.query('SELECT 1')
    isAsked = true
    return database.listener.session(register)
  })
  const reaper = createReaper(database, { key, workerId: () => id, log, wake })
  const subscriptions = await subscribe(database, { ...options, reaper, workerId: () => id })
  await startStep(reaper.reap)

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
  /** Declares each worker whose lock is free dead, and requeues its messages. */
  reap(): Promise<void>
  /** Reaps soon, and again as long as there are other workers. */
  schedule(): void
  /** Reaps no worker until the other workers have had time to take their locks again. */
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
    // A worker that does not hold its own lock must not declare others dead: after a restart of the server no worker holds its
    // lock yet.
    if (!database.listener.connected || performance.now() < notBefore) return schedule()
    const row = await database.transaction(async (client) => {
      const [found] = await client.query<{ names: string[]; ids: number[]; peers: number }>(sql('worker-reap'), [key, workerId()])
      if (found !== undefined && found.ids.length > 0)
        await client.query(sql('worker-requeue'), [found.ids, 1, database.channel('message')])
      return found
    })
    if (row === undefined) return
    for (const name of row.names) log.warn({ worker: name }, 'worker is dead, its messages are requeued')
    // Wakes even if no message was requeued, because earlier claims skipped the rows that the dead worker had locked.
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
    await startStep(() => listener.listen(database.channel('message'), onMessage, onReconnected)),
    await startStep(() => listener.listen(database.channel('worker'), onWorker)),
  ]
}
