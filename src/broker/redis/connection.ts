import { createHash, randomUUID } from 'node:crypto'
import type { Redis } from 'ioredis'
import { isSocketError } from '../../concurrency/transient.ts'
import { waitAtMost } from '../../concurrency/with-timeout.ts'
import { AppError } from '../../errors.ts'
import type { Log } from '../../log.ts'
import { maskUrl } from '../../log-text.ts'
import { redisAddress } from '../../server-url.ts'
import { clientMissing } from './client.ts'
import { clientOptions, type RedisTarget } from './client-options.ts'
import type { Script } from './scripts.ts'
import { createUsability } from './usable.ts'

/** Timeout for the answer to QUIT. Milliseconds. */
const CLOSE_MS = 2000

/**
 * A connection to Redis that reconnects. While it is away, commands fail at once, so that callers decide which commands to
 * repeat.
 */
export interface RedisConnection {
  /** The name of the connection on the server (CLIENT SETNAME). */
  readonly name: string
  readonly database: number
  /**
   * Resolves with the client when it is connected.
   * @throws AppError BROKER_UNREACHABLE after `withinMs` milliseconds (default: no limit)
   */
  ready(withinMs?: number): Promise<Redis>
  /** Sends several commands in one write. If commands fail, throws the first error. */
  pipeline(commands: readonly Command[]): Promise<unknown[]>
  run(script: Script, keys: readonly string[], args: readonly Argument[]): Promise<unknown>
  /** Calls the listener after every (re)connection. @returns a function that removes the listener */
  onReady(listener: (client: Redis) => void): () => void
  readonly closed: boolean
  /** Closes the connection. `abruptly`: waits for no commands, as if the process were killed. */
  close(abruptly?: boolean): Promise<void>
}

export type Argument = string | number
export type Command = readonly [name: string, ...args: Argument[]]

/** Returns the call of a script as a command for `pipeline`. */
export const scriptCommand = (script: Script, keys: readonly string[], args: readonly Argument[]): Command => [
  'EVALSHA',
  hashOf(script),
  keys.length,
  ...keys,
  ...args,
]

/**
 * Connects on first use, then reconnects for ever with jitter. Logs one line when the connection is lost and one when it is back.
 * @throws AppError CONFIG_INVALID
 */
export function createRedisConnection(target: RedisTarget, purpose: string, log: Log): RedisConnection {
  const address = redisAddress(target.url)
  if ('problem' in address) throw new AppError('CONFIG_INVALID', `${maskUrl(target.url)} ${address.problem}`)
  const name = `onedyno-${purpose}-${randomUUID()}`
  const listeners = new Set<(client: Redis) => void>()
  const server = createUsability({ target, fields: { redis: maskUrl(target.url), purpose }, log })
  let opening: Promise<Redis> | undefined
  let client: Redis | undefined
  let closed = false

  const lose = (reason: string) => {
    if (!closed) server.lose(reason)
  }
  const open = async (): Promise<Redis> => {
    const { Redis } = await importClient()
    const options = clientOptions(address, { platform: target.platform, connectionName: name, pause: server.pause })
    const opened = address.kind === 'server' ? new Redis(address.url, options) : new Redis(options)
    client = opened
    opened.on('error', (error: Error) => {
      server.selectFailed(error)
      lose(error.message)
    })
    opened.on('close', () => lose('connection closed'))
    opened.on('end', server.changed)
    opened.on('ready', async () => {
      if (await server.check(opened)) for (const listener of listeners) listener(opened)
    })
    return opened
  }

  const ready = async (withinMs?: number): Promise<Redis> => {
    if (server.refused !== undefined) throw server.refused
    if (closed) throw new AppError('BROKER_UNREACHABLE', 'the connection to Redis is closed')
    opening ??= open()
    const opened = await opening
    if (!server.usable) await server.wait(withinMs, () => opened.status === 'end')
    return opened
  }

  const pipeline = async (commands: readonly Command[]) => sendTogether(await ready(), commands)

  return {
    name,
    database: address.database,
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

type Reply = [error: Error | null, reply: unknown]

async function sendTogether(client: Redis, commands: readonly Command[]): Promise<unknown[]> {
  const sent = commands.length === 1 ? sendAlone(client, commands[0]!) : sendPipeline(client, commands)
  const replies: Reply[] = (await sent) ?? []
  const missing = new Set(commands.filter((_, at) => isUnknownScript(replies[at]?.[0])).map((command) => String(command[1])))
  if (missing.size > 0) {
    // A restarted server has no scripts. Commands that failed for this reason had no effect and are sent again. The other
    // commands must not be repeated.
    for (const hash of missing) await client.call('SCRIPT', 'LOAD', luaByHash.get(hash) ?? '')
    for (const [at, command] of commands.entries())
      if (isUnknownScript(replies[at]?.[0])) replies[at] = [null, await client.call(...(command as [string, ...Argument[]]))]
  }
  for (const [error] of replies) if (error) throw error
  return replies.map(([, reply]) => reply)
}

const sendPipeline = (client: Redis, commands: readonly Command[]) =>
  client.pipeline(commands.map(([command, ...args]) => [command.toLowerCase(), ...args])).exec()

/**
 * HOT: sends a single command without a pipeline, because an ioredis pipeline of one command costs more than the command itself.
 */
const sendAlone = (client: Redis, command: Command): Promise<Reply[]> =>
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
    throw clientMissing('a Redis URL is set', cause)
  }
}

/** Returns true if the connection failed, not the command, so that another attempt may succeed. */
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
