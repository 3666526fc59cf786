import { createHash, randomUUID } from 'node:crypto'
import type { Redis, RedisOptions } from 'ioredis'
import { pauseMs } from '../../concurrency/retry.ts'
import { isSocketError } from '../../concurrency/transient.ts'
import { waitAtMost } from '../../concurrency/with-timeout.ts'
import type { Platform } from '../../config.ts'
import { AppError } from '../../errors.ts'
import type { Log } from '../../log.ts'
import { maskUrl } from '../../log-text.ts'
import type { Script } from './scripts.ts'

const BACKOFF = { firstMs: 50, maxMs: 5000 }
/** A server that answers nothing for so long is not there, whatever the connection looks like: TCP alone finds out after a quarter of an hour. */
const SILENT_MS = 30_000
/** For the server's answer to our farewell. */
const CLOSE_MS = 2000

/** One connection to Redis that comes back by itself. Commands fail at once while it is away: the callers decide what is repeated. */
export interface RedisConnection {
  /** What the server knows this connection as (CLIENT SETNAME). */
  readonly name: string
  readonly database: number
  /** The client when it is connected. @throws AppError BROKER_UNREACHABLE when it is not within `withinMs` (default: waits for ever) */
  ready(withinMs?: number): Promise<Redis>
  /** Several commands in one write. Their errors are thrown, the first one first. */
  pipeline(commands: readonly Command[]): Promise<unknown[]>
  run(script: Script, keys: readonly string[], args: readonly Argument[]): Promise<unknown>
  /** Called after every (re)connection until it is taken back. */
  onReady(listener: (client: Redis) => void): () => void
  readonly closed: boolean
  /** `abruptly`: as a process that is killed, nothing is waited for. */
  close(abruptly?: boolean): Promise<void>
}

export type Argument = string | number
export type Command = readonly [name: string, ...args: Argument[]]

/** A script as a command for `pipeline`. */
export const scriptCommand = (script: Script, keys: readonly string[], args: readonly Argument[]): Command => [
  'EVALSHA',
  hashOf(script),
  keys.length,
  ...keys,
  ...args,
]

export interface RedisTarget {
  readonly url: string
  readonly platform: Platform
}

/** Connects when first used, then for ever again with jitter; one log line when the connection is lost and one when it is back. */
export function createRedisConnection(target: RedisTarget, purpose: string, log: Log): RedisConnection {
  const name = `onedyno-${purpose}-${randomUUID()}`
  const listeners = new Set<(client: Redis) => void>()
  let opening: Promise<Redis> | undefined
  let client: Redis | undefined
  let closed = false
  let lost = false

  const open = async (): Promise<Redis> => {
    const { Redis } = await importClient()
    const opened = new Redis(target.url, optionsOf(target, name))
    client = opened
    opened.on('error', (error: Error) => sayLost(error.message))
    opened.on('close', () => sayLost('connection closed'))
    opened.on('ready', () => {
      if (lost) log.info({ redis: maskUrl(target.url), purpose }, 'Redis connection is back')
      lost = false
      for (const listener of listeners) listener(opened)
    })
    return opened
  }

  const sayLost = (reason: string) => {
    if (lost || closed) return
    lost = true
    log.warn({ redis: maskUrl(target.url), purpose, reason }, 'Redis connection away, connecting again until it is back')
  }

  const ready = async (withinMs?: number): Promise<Redis> => {
    if (closed) throw new AppError('BROKER_UNREACHABLE', 'the connection to Redis is closed')
    opening ??= open()
    const opened = await opening
    if (opened.status === 'ready') return opened
    await becomesReady(opened, withinMs)
    return opened
  }

  const becomesReady = (opened: Redis, withinMs: number | undefined) =>
    new Promise<void>((resolve, reject) => {
      const settle = (end: () => void) => {
        clearTimeout(timer)
        opened.off('ready', onReady)
        opened.off('end', onEnd)
        end()
      }
      const onReady = () => settle(resolve)
      const refuse = (reason: string) =>
        settle(() => reject(new AppError('BROKER_UNREACHABLE', `${maskUrl(target.url)} ${reason}`)))
      const onEnd = () => refuse('was closed')
      const timer = withinMs === undefined ? undefined : setTimeout(() => refuse('does not answer'), withinMs)
      opened.on('ready', onReady)
      opened.on('end', onEnd)
    })

  const pipeline = async (commands: readonly Command[]): Promise<unknown[]> => {
    const connected = await ready()
    const replies = (await (commands.length === 1 ? alone(connected, commands[0]!) : together(connected, commands))) ?? []
    const missing = new Set(commands.filter((_, at) => isUnknownScript(replies[at]?.[0])).map((command) => String(command[1])))
    if (missing.size > 0) {
      // After a restart the server has forgotten the scripts. What failed did nothing and is sent again; what did not must not be.
      for (const hash of missing) await connected.call('SCRIPT', 'LOAD', luaByHash.get(hash) ?? '')
      for (const [at, command] of commands.entries())
        if (isUnknownScript(replies[at]?.[0])) replies[at] = [null, await connected.call(...(command as [string, ...Argument[]]))]
    }
    for (const [error] of replies) if (error) throw error
    return replies.map(([, reply]) => reply)
  }

  return {
    name,
    database: databaseOf(target.url),
    ready,
    pipeline,
    run: async (script, keys, args) => (await pipeline([scriptCommand(script, keys, args)]))[0],
    onReady(listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    get closed() {
      return closed
    },
    async close(abruptly = false) {
      if (closed) return
      closed = true
      const opened = client ?? (await opening?.catch(() => undefined))
      if (opened === undefined) return
      if (!abruptly && opened.status === 'ready')
        await waitAtMost(
          opened.quit().catch(() => {}),
          CLOSE_MS,
        )
      opened.disconnect()
    },
  }
}

const together = (client: Redis, commands: readonly Command[]) =>
  client.pipeline(commands.map(([command, ...args]) => [command.toLowerCase(), ...args])).exec()

/** HOT: a pipeline of ioredis costs more than what it sends, and whoever sends one message waits for it. */
const alone = (client: Redis, command: Command): Promise<[Error | null, unknown][]> =>
  client.call(...(command as [string, ...Argument[]])).then(
    (reply) => [[null, reply]],
    (error: Error) => [[error, undefined]],
  )

const isUnknownScript = (error: unknown) => error instanceof Error && error.message.startsWith('NOSCRIPT')

const luaByHash = new Map<string, string>()
const hashes = new Map<Script, string>()

function hashOf(script: Script): string {
  const known = hashes.get(script)
  if (known !== undefined) return known
  const hash = createHash('sha1').update(script.lua).digest('hex')
  hashes.set(script, hash)
  luaByHash.set(hash, script.lua)
  return hash
}

async function importClient() {
  try {
    return await import('ioredis')
  } catch (cause) {
    throw new AppError('BROKER_CLIENT_MISSING', 'a Redis URL is set, but the package ioredis is not installed', { cause })
  }
}

function optionsOf({ url, platform }: RedisTarget, connectionName: string) {
  return {
    connectionName,
    // Protocol 2: every server and proxy speaks it, and invalidations arrive as messages (redis-wake.ts).
    protocol: 2 as const,
    // A command under way when the connection breaks fails, and nobody repeats it unseen.
    maxRetriesPerRequest: 0,
    autoResendUnfulfilledCommands: false,
    enableOfflineQueue: false,
    autoResubscribe: false,
    disableClientInfo: true,
    noDelay: true,
    socketTimeout: SILENT_MS,
    retryStrategy: (attempt: number) => pauseMs(attempt - 1, BACKOFF),
    // After a failover the former primary answers, but refuses to write: connect again to find the new one.
    reconnectOnError: (error: Error) => error.message.startsWith('READONLY'),
    // Heroku encrypts with certificates that no authority signed (reference/web-platform.md §1.1).
    ...(url.startsWith('rediss:') ? { tls: { rejectUnauthorized: platform !== 'heroku' } } : {}),
  } satisfies RedisOptions
}

/** `redis://host/3` → 3. */
const databaseOf = (url: string): number => {
  const path = URL.canParse(url) ? new URL(url).pathname.slice(1) : ''
  return /^\d+$/.test(path) ? Number(path) : 0
}

/** Did the connection fail, rather than the command? Then another attempt may succeed. */
export function isRedisConnectionError(error: unknown): boolean {
  const { name = '', message = '', code = '' } = error as { name?: string; message?: string; code?: string }
  return (
    name === 'MaxRetriesPerRequestError' ||
    name === 'AbortError' ||
    code === 'BROKER_UNREACHABLE' ||
    isSocketError(error) ||
    /^(LOADING|READONLY|MASTERDOWN|CLUSTERDOWN|TRYAGAIN)|Connection is closed|isn't writeable/.test(message)
  )
}
