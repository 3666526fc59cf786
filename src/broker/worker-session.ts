import { retry } from '../concurrency/retry.ts'
import { isConnectionError } from '../concurrency/transient.ts'
import type { Database } from '../database/database.ts'
import { sql } from '../database/sql.ts'
import type { Log } from '../log.ts'
import type { ConsumeOptions } from './broker.ts'

/** Half a second: a dead worker's messages are back within a second, whatever the moment of its death. */
const REAP_EVERY_MS = 500
/** After a reconnection the others get time to take their locks again before anybody is declared dead. */
const REAP_AFTER_RECONNECT_MS = 3000

export interface PostgresWorker {
  readonly id: number
  /** Takes the row away and gives back what is still held. */
  leave(): Promise<void>
}

/**
 * Alive = the session advisory lock of this worker's row is held. The server lets go of it the moment the connection ends, so kill -9 is
 * noticed without a heartbeat, and a busy event loop cannot lose its messages. While no other worker is registered nothing is asked at all.
 * `onReturn`: the connection was away and is back, and what was this worker's may have been made ready meanwhile.
 */
export async function registerWorker(
  database: Database,
  options: ConsumeOptions,
  log: Log,
  wake: () => void,
  onReturn: (how: { readonly declaredDead: boolean }) => void = () => {},
): Promise<PostgresWorker> {
  const key = `${database.schema}.worker`
  let id = 0
  let timer: NodeJS.Timeout | undefined
  let left = false
  let reapNotBefore = 0

  const enrol: Parameters<Database['listener']['session']>[0] = async (client) => {
    if (left) return
    const { name, text } = sql('worker-return')
    const back = id > 0 && (await client.query({ name, text, values: [key, id] })).rows.length === 1
    if (back) return onReturn({ declaredDead: false })
    const register = sql('worker-register')
    const values = [key, options.name, options.queues, options.concurrency]
    const { rows } = await client.query({ name: register.name, text: register.text, values })
    const former = id
    id = rows[0].id
    if (former > 0) {
      log.warn({ former, id }, 'declared dead while the connection was away, registered again')
      onReturn({ declaredDead: true })
    }
    await client.query('SELECT pg_notify($1, $2)', [database.channel('worker'), String(id)])
  }
  let asked = false
  await surely<unknown>(() => {
    // Asked once, it runs with every connection: after a failure only the connection is needed.
    if (asked) return database.listener.query('SELECT 1')
    asked = true
    return database.listener.session(enrol)
  })

  const reap = async () => {
    if (left) return
    // A worker without its own lock must not judge others: after a restart of the server nobody has one yet.
    if (!database.listener.connected || performance.now() < reapNotBefore) return schedule(1)
    const row = await database.transaction(async (client) => {
      const [found] = await client.query<{ names: string[]; ids: number[]; peers: number }>(sql('worker-reap'), [key, id])
      if (found !== undefined && found.ids.length > 0)
        await client.query(sql('worker-hand-back'), [found.ids, 1, database.channel('message')])
      return found
    })
    if (row === undefined) return
    for (const name of row.names) log.warn({ worker: name }, 'worker is dead, its messages are handed out again')
    // Also without messages: rows that it had locked when it died were passed over by everybody else.
    if (row.names.length > 0) wake()
    schedule(row.peers)
  }

  const schedule = (peers: number) => {
    clearTimeout(timer)
    if (peers > 0 && !left) timer = setTimeout(reapQuietly, REAP_EVERY_MS)
  }

  const reapQuietly = () => {
    reap().catch((error: Error) => {
      log.debug({ reason: error.message }, 'could not look for dead workers')
      schedule(1)
    })
  }

  const queues = new Set(options.queues)
  const subscriptions = [
    await surely(() =>
      database.listener.listen(
        database.channel('message'),
        (queue) => {
          if (queues.has(queue)) wake()
        },
        () => {
          reapNotBefore = performance.now() + REAP_AFTER_RECONNECT_MS
          wake()
          schedule(1)
        },
      ),
    ),
    await surely(() =>
      database.listener.listen(database.channel('worker'), (registered) => {
        if (registered !== String(id)) schedule(1)
      }),
    ),
  ]
  await surely(reap)

  return {
    get id() {
      return id
    },
    async leave() {
      left = true
      clearTimeout(timer)
      database.listener.endSession(enrol)
      for (const subscription of subscriptions) await subscription.stop()
      try {
        await database.transaction(async (client) => {
          await client.query(sql('worker-leave'), [id])
          await client.query(sql('worker-hand-back'), [[id], 0, database.channel('message')])
        })
        await database.listener.query('SELECT pg_advisory_unlock(hashtext($1), $2)', [key, id])
      } catch (error) {
        log.warn({ reason: (error as Error).message }, 'could not sign off, another worker finds what is left')
      }
    },
  }
}

/** A database that goes away just while a worker starts is waited for: to end would only mean to be started again. */
const surely = <T>(work: () => Promise<T>): Promise<T> =>
  retry(work, { firstMs: 100, maxMs: 2000, isRetryable: isConnectionError })
