import type { Client } from 'pg'
import { createMutex } from '../concurrency/mutex.ts'
import { retry } from '../concurrency/retry.ts'
import { sleep } from '../concurrency/sleep.ts'
import type { Log } from '../log.ts'
import { openSession, prepareSession } from './sessions.ts'

/** The one connection of a process for LISTEN and session locks. After a loss it connects again and calls the subscribers. */
export interface Listener {
  /**
   * Subscribes to a channel. Calls `onNotify` for each notification, and `onConnected` after every reconnection, because
   * notifications were lost meanwhile.
   */
  listen(channel: string, onNotify: (payload: string) => void, onConnected?: () => void): Promise<Subscription>
  /** Calls `onConnected` on every new connection before the subscribers of channels are called. It takes session locks there. */
  session(onConnected: (client: Client) => Promise<void>): Promise<void>
  /** Stops calling `onConnected` on later connections. */
  endSession(onConnected: (client: Client) => Promise<void>): void
  query(text: string, values?: unknown[]): Promise<Record<string, unknown>[]>
  /** False from the moment when this process detects the loss of the connection until a new connection exists. */
  readonly connected: boolean
  close(): Promise<void>
}

export interface Subscription {
  stop(): Promise<void>
}

/** Far shorter than the time after which other workers declare a disconnected worker dead (broker/worker-session.ts). */
const BACKOFF = { firstMs: 50, maxMs: 2000 }

/**
 * Connects when first used. Repeats a failed connection without limit, with jitter, and logs the loss and the return once each.
 */
export function createListener(createClient: () => Client, log: Log): Listener {
  const subscribers = new Map<string, Set<{ onNotify: (payload: string) => void; onConnected: (() => void) | undefined }>>()
  /** Each session, with the connection on which its function ran last. */
  const sessions: { run: (client: Client) => Promise<void>; on?: Client }[] = []
  const stopping = new AbortController()
  let client: Client | undefined
  let connecting: Promise<Client> | undefined
  /** Each client of pg runs one statement at a time. */
  let turns = createMutex()

  const open = async (): Promise<Client> => {
    const fresh = createClient()
    fresh.on('notification', ({ channel, payload }) => {
      for (const subscriber of subscribers.get(channel) ?? []) subscriber.onNotify(payload ?? '')
    })
    fresh.on('error', () => lost(fresh))
    fresh.on('end', () => lost(fresh))
    try {
      await openSession(() => fresh.connect())
      await prepareSession(fresh)
      for (const session of [...sessions]) await runOn(session, fresh)
      for (const channel of subscribers.keys()) await fresh.query(`LISTEN ${fresh.escapeIdentifier(channel)}`)
    } catch (error) {
      fresh.removeAllListeners('end')
      await fresh.end().catch(() => {})
      throw error
    }
    client = fresh
    turns = createMutex()
    return fresh
  }

  const runOn = async (session: (typeof sessions)[number], on: Client) => {
    await session.run(on)
    session.on = on
  }

  const lost = (which: Client) => {
    if (client !== which) return
    client = undefined
    if (stopping.signal.aborted) return
    log.warn('database connection lost, connecting again')
    void reconnect()
  }

  /** Repeats without limit: without this connection the process receives no notification, and no caller waits for an error. */
  const reconnect = async () => {
    try {
      await sleep(BACKOFF.firstMs, stopping.signal)
      await retry(connect, { ...BACKOFF, isRetryable: () => true, signal: stopping.signal })
      log.info('database connection is back')
      for (const set of subscribers.values()) for (const { onConnected } of set) onConnected?.()
    } catch (err) {
      if (!stopping.signal.aborted) log.error({ err }, 'database connection not restored')
    }
  }

  const connect = (): Promise<Client> => {
    if (client !== undefined) return Promise.resolve(client)
    if (stopping.signal.aborted) return Promise.reject(new Error('the database connection is closed'))
    connecting ??= open().finally(() => {
      connecting = undefined
    })
    return connecting
  }

  return {
    async listen(channel, onNotify, onConnected) {
      const subscriber = { onNotify, onConnected }
      const set = subscribers.get(channel) ?? new Set()
      const first = set.size === 0
      subscribers.set(channel, set.add(subscriber))
      try {
        const connected = await connect()
        if (first) await turns.run(() => connected.query(`LISTEN ${connected.escapeIdentifier(channel)}`))
      } catch (error) {
        set.delete(subscriber)
        throw error
      }
      return {
        async stop() {
          set.delete(subscriber)
          if (set.size > 0 || subscribers.get(channel) !== set) return
          subscribers.delete(channel)
          await turns.run(async () => client?.query(`UNLISTEN ${client.escapeIdentifier(channel)}`)).catch(() => {})
        },
      }
    },
    async session(onConnected) {
      const session: (typeof sessions)[number] = { run: onConnected }
      sessions.push(session)
      const connected = await connect()
      // If the connection was being opened during this call, its sessions may have run already.
      if (session.on !== connected) await turns.run(() => runOn(session, connected))
    },
    endSession(onConnected) {
      const at = sessions.findIndex(({ run }) => run === onConnected)
      if (at >= 0) sessions.splice(at, 1)
    },
    async query(text, values = []) {
      const connected = await connect()
      return (await turns.run(() => connected.query(text, values))).rows as Record<string, unknown>[]
    },
    get connected() {
      return client !== undefined
    },
    async close() {
      stopping.abort()
      const open = client ?? (await connecting?.catch(() => undefined))
      client = undefined
      await open?.end().catch(() => {})
    },
  }
}
