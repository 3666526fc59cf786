import type { Socket } from 'node:net'
import { type Channel, type ChannelModel, type ConfirmChannel, connect, type Options, type RecoveringChannelModel } from 'amqplib'
import { waitAtMost } from '../../concurrency/with-timeout.ts'
import { AppError } from '../../errors.ts'
import type { Log } from '../../log.ts'
import { maskUrl } from '../../log-text.ts'
import { amqpUrls } from '../../server-url.ts'
import { withAnswerTimeout } from './answer-timeout.ts'

/** Two missed heartbeats end a connection, so a task may block the event loop for most of a minute. Seconds. */
const HEARTBEAT_S = 30
/** Back-off of amqplib: it doubles, with jitter, so that many dynos do not come back at once. Milliseconds. */
const RECOVERY = { initialDelay: 100, maxDelay: 5000, factor: 2, jitter: 0.5, waitForConnect: false } as const
/** Timeout of one attempt: TCP, TLS and the handshake. */
const CONNECT_TIMEOUT_MS = 15_000
/** Timeout for the server's answer to a close. A connection that breaks meanwhile never receives one. */
const CLOSE_MS = 2000

/** One connection to RabbitMQ, which reconnects for ever. */
export interface AmqpConnection {
  /** Waits for the connection. Rejects when the connection is closed, or lost meanwhile. */
  createChannel(): Promise<Channel>
  createConfirmChannel(): Promise<ConfirmChannel>
  /** `performance.now()` of the loss or of the start. undefined while connected. */
  readonly awaySince: number | undefined
  /**
   * `performance.now()` of the moment when the server stopped reading from this connection. It does so if it is out of memory or disk and
   * the connection has published. Acknowledgements wait as well; deliveries still arrive. undefined while the server reads.
   */
  readonly blockedSince: number | undefined
  readonly closed: boolean
  /** Calls the listener after each change of `awaySince` or `blockedSince`. @returns stops that */
  onChange(listener: () => void): () => void
  close(): Promise<void>
}

/** Opens at once, in the background. Logs each change of state in one line. */
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
  const away = (error: Error) => {
    awaySince ??= performance.now()
    blockedSince = undefined
    if (!loggedAway && !closed) log.warn({ broker, reason: reasonOf(error) }, 'RabbitMQ is away, trying again until it is back')
    loggedAway = true
    changed()
  }
  const connected = (model: ChannelModel) => {
    socket = (model.connection as unknown as { readonly stream: Socket }).stream
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
  model.on('connect', connected)
  model.on('disconnect', (error) => {
    hosts.next()
    away(error)
  })
  model.on('connect-failed', (error) => {
    hosts.next()
    away(error)
  })
  model.on('blocked', (reason) => block(true, reason))
  model.on('unblocked', () => block(false))
  // `disconnect` reports the loss. Without a listener an 'error' event would end the process.
  model.on('error', (error) => log.debug({ reason: error.message }, 'error of the connection to RabbitMQ'))

  const onChange = (listener: () => void) => {
    listeners.add(listener)
    return () => void listeners.delete(listener)
  }

  /** Waits for the connection without a limit, but for the answer only until a timeout. */
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

/** Resolves with the next change of `awaySince` or `blockedSince`. */
export const nextChange = ({ onChange }: Pick<AmqpConnection, 'onChange'>): Promise<void> =>
  new Promise((resolve) => {
    const stop = onChange(() => {
      stop()
      resolve()
    })
  })

/**
 * The servers of a list, in turn as kombu's failover strategy `round-robin`. The recovery of amqplib has one address, which it reads before
 * each attempt, so its fields are replaced by those of the next server.
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
    // Without both amqplib uses guest.
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
