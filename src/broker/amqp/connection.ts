import type { Socket } from 'node:net'
import { type Channel, type ChannelModel, type ConfirmChannel, connect, type Options, type RecoveringChannelModel } from 'amqplib'
import { waitAtMost } from '../../concurrency/with-timeout.ts'
import { AppError } from '../../errors.ts'
import type { Log } from '../../log.ts'
import { maskUrl } from '../../log-text.ts'
import { amqpUrls } from '../../server-url.ts'
import { withAnswerTimeout } from './answer-timeout.ts'
import { translateFields } from './received-frames.ts'

/**
 * Heartbeat interval. Two missed heartbeats end a connection, so a task may block the event loop for most of a minute. Seconds.
 */
const HEARTBEAT_S = 30
/**
 * Back-off of amqplib between attempts to connect. It doubles, with jitter, so that many dynos do not reconnect at the same
 * moment. Milliseconds.
 */
const RECOVERY = { initialDelay: 100, maxDelay: 5000, factor: 2, jitter: 0.5, waitForConnect: false } as const
/** Timeout of one attempt to connect, including TCP, TLS and the AMQP handshake. Milliseconds. */
const CONNECT_TIMEOUT_MS = 15_000
/**
 * Timeout for the server's answer to a close, because no answer arrives if the connection breaks during the close. Milliseconds.
 */
const CLOSE_MS = 2000

/** One connection to RabbitMQ, which reconnects for ever. */
export interface AmqpConnection {
  /** Waits for the connection and opens a channel on it. Rejects if the connection is closed, or is lost during the call. */
  createChannel(): Promise<Channel>
  createConfirmChannel(): Promise<ConfirmChannel>
  /** When the connection was lost, or when this process started to connect, by `performance.now()`. undefined while connected. */
  readonly awaySince: number | undefined
  /**
   * When the server stopped reading from this connection, by `performance.now()`. undefined while the server reads. The server
   * stops reading if it is out of memory or disk and the connection has published. Then acknowledgements wait too, but
   * deliveries still arrive.
   */
  readonly blockedSince: number | undefined
  readonly closed: boolean
  /** Calls the listener after each change of `awaySince` or `blockedSince`. @returns a function that removes the listener */
  onChange(listener: () => void): () => void
  close(): Promise<void>
}

/** Starts to connect at once, in the background. Logs each change of state in one line. */
export async function openAmqpConnection(url: string, options: { name: string; log: Log }): Promise<AmqpConnection> {
  const { log, name } = options
  const broker = maskUrl(url)
  const listeners = new Set<() => void>()
  let awaySince: number | undefined = performance.now()
  let blockedSince: number | undefined
  let closed = false
  let loggedAway = false
  let socket: Socket | undefined

  const changed = () => {
    for (const listener of [...listeners]) listener()
  }
  const lost = (error: Error) => {
    hosts.next()
    awaySince ??= performance.now()
    blockedSince = undefined
    if (!loggedAway && !closed) log.warn({ broker, reason: reasonOf(error) }, 'RabbitMQ is away, trying again until it is back')
    loggedAway = true
    changed()
  }
  const connected = (model: ChannelModel) => {
    const connection = model.connection as unknown as Parameters<typeof translateFields>[0] & { readonly stream: Socket }
    translateFields(connection)
    socket = connection.stream
    awaySince = undefined
    if (loggedAway) log.info({ broker }, 'RabbitMQ is back')
    loggedAway = false
    changed()
  }
  const block = (now: boolean, reason?: string) => {
    if (now) log.warn({ broker, reason }, 'RabbitMQ takes no messages now, waiting until it does')
    else log.info({ broker }, 'RabbitMQ takes messages again')
    blockedSince = now ? performance.now() : undefined
    changed()
  }

  const hosts = inTurn(url)
  const model: RecoveringChannelModel = await connect(hosts.address, {
    noDelay: true,
    keepAlive: true,
    timeout: CONNECT_TIMEOUT_MS,
    clientProperties: { connection_name: `onedyno ${name}` },
    recovery: RECOVERY,
  })
  observe(model, { connected, lost, block, log })

  const onChange = (listener: () => void) => {
    listeners.add(listener)
    return () => void listeners.delete(listener)
  }

  /** Waits for the connection without a limit, then for the answer to `create` until a timeout. */
  const onceConnected = async <C extends Channel>(create: () => Promise<C>): Promise<C> => {
    while (awaySince !== undefined && !closed) await nextChange({ onChange })
    return withAnswerTimeout('the opening of a channel', create(), (late) => void late.close().catch(() => {}))
  }

  return {
    createChannel: () => onceConnected(() => model.createChannel()),
    createConfirmChannel: () => onceConnected(() => model.createConfirmChannel()),
    get awaySince() {
      return awaySince
    },
    get blockedSince() {
      return blockedSince
    },
    get closed() {
      return closed
    },
    onChange,
    async close() {
      closed = true
      if (!(await waitAtMost(model.close(), CLOSE_MS))) socket?.destroy()
      changed()
    },
  }
}

interface ConnectionEvents {
  readonly connected: (model: ChannelModel) => void
  readonly lost: (error: Error) => void
  readonly block: (isBlocked: boolean, reason?: string) => void
  readonly log: Log
}

function observe(model: RecoveringChannelModel, { connected, lost, block, log }: ConnectionEvents): void {
  model.on('connect', connected)
  model.on('disconnect', lost)
  model.on('connect-failed', lost)
  model.on('blocked', (reason) => block(true, reason))
  model.on('unblocked', () => block(false))
  // `disconnect` reports the loss. Without a listener an 'error' event would end the process.
  model.on('error', (error) => log.debug({ reason: error.message }, 'error of the connection to RabbitMQ'))
}

/** Resolves at the next change of `awaySince` or `blockedSince`. */
export const nextChange = ({ onChange }: Pick<AmqpConnection, 'onChange'>): Promise<void> =>
  new Promise((resolve) => {
    const stop = onChange(() => {
      stop()
      resolve()
    })
  })

/**
 * Takes the servers of a list in turn, like kombu's failover strategy `round-robin`. The recovery of amqplib has one address
 * object, which it reads before each attempt, so `next` replaces the fields of this object by the fields of the next server.
 */
function inTurn(text: string): { readonly address: Options.Connect; next(): void } {
  const urls = amqpUrls(text)
  if ('problem' in urls) throw new AppError('CONFIG_INVALID', `${maskUrl(text)} ${urls.problem}`)
  const address = toAddress(urls[0])
  let turn = 0
  return {
    address,
    next() {
      turn = (turn + 1) % urls.length
      Object.assign(address, toAddress(urls[turn] ?? urls[0]))
    },
  }
}

/** Reads a URL as amqplib does. A heartbeat in the URL (`?heartbeat=…`) takes precedence over ours. */
function toAddress(url: string): Options.Connect {
  const { protocol, hostname, port, username, password, pathname, searchParams } = new URL(url)
  const number = (name: string) => (searchParams.has(name) ? Number(searchParams.get(name)) : undefined)
  const hasUser = username !== '' || password !== ''
  return {
    protocol: protocol.slice(0, -1),
    hostname: hostname.replace(/^\[|\]$/g, ''),
    port: Number(port),
    // If user and password are both missing, amqplib uses guest.
    username: hasUser ? decodeURIComponent(username) : undefined,
    password: hasUser ? decodeURIComponent(password) : undefined,
    vhost: pathname.slice(1),
    locale: searchParams.get('locale') ?? undefined,
    channelMax: number('channelMax'),
    frameMax: number('frameMax'),
    heartbeat: number('heartbeat') ?? HEARTBEAT_S,
  } as Options.Connect
}

/** If several addresses refuse, Node.js reports one AggregateError without a message. */
function reasonOf(error: Error): string {
  const [first] = (error as AggregateError).errors ?? []
  return error.message || (first as Error | undefined)?.message || (error as NodeJS.ErrnoException).code || 'connection lost'
}
