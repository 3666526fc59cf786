import type { Socket } from 'node:net'
import { type Channel, type ChannelModel, type ConfirmChannel, connect, type RecoveringChannelModel } from 'amqplib'
import { waitAtMost } from '../../concurrency/with-timeout.ts'
import type { Log } from '../../log.ts'
import { maskUrl } from '../../log-text.ts'
import { withAnswerTimeout } from './answer-timeout.ts'

/** Two missed heartbeats end a connection: a task may block the event loop for most of a minute before that. Seconds. */
const HEARTBEAT_S = 30
/** amqplib's own back-off: doubling with this jitter, so that many dynos do not come back at once. Milliseconds. */
const RECOVERY = { initialDelay: 100, maxDelay: 5000, factor: 2, jitter: 0.5, waitForConnect: false } as const
/** For TCP, TLS and the handshake of one attempt. */
const CONNECT_TIMEOUT_MS = 15_000
/** The server's word on our farewell; a connection that breaks just then would never have it. */
const CLOSE_MS = 2000

/** One connection to RabbitMQ that comes back by itself for ever; channels are made of it. */
export interface AmqpConnection {
  /** Waits for the connection; rejects when it is closed, or lost meanwhile. */
  createChannel(): Promise<Channel>
  createConfirmChannel(): Promise<ConfirmChannel>
  /** `performance.now()` of the loss, or of the beginning; undefined while connected. */
  readonly awaySince: number | undefined
  /**
   * `performance.now()` of the moment since which the server reads nothing from this connection, because it is out of memory or disk and
   * something was published: acknowledgements wait as well. What it sends still arrives. undefined while it reads.
   */
  readonly blockedSince: number | undefined
  readonly closed: boolean
  /** Called with each change of `awaySince` or `blockedSince`. @returns stops it */
  onChange(listener: () => void): () => void
  close(): Promise<void>
}

/** Opens at once, in the background. Says each change of state in one line. */
export async function openAmqpConnection(url: string, options: { name: string; log: Log }): Promise<AmqpConnection> {
  const { log, name } = options
  const broker = maskUrl(url)
  const listeners = new Set<() => void>()
  let awaySince: number | undefined = performance.now()
  let blockedSince: number | undefined
  let closed = false
  let saidAway = false
  let socket: Socket | undefined

  const changed = () => {
    for (const listener of [...listeners]) listener()
  }
  const away = (error: Error) => {
    awaySince ??= performance.now()
    blockedSince = undefined
    if (!saidAway && !closed) log.warn({ broker, reason: reasonOf(error) }, 'RabbitMQ is away, trying again until it is back')
    saidAway = true
    changed()
  }
  const connected = (model: ChannelModel) => {
    socket = (model.connection as unknown as { readonly stream: Socket }).stream
    awaySince = undefined
    if (saidAway) log.info({ broker }, 'RabbitMQ is back')
    saidAway = false
    changed()
  }
  const block = (now: boolean, reason?: string) => {
    if (now) log.warn({ broker, reason }, 'RabbitMQ takes no messages now, waiting until it does')
    else log.info({ broker }, 'RabbitMQ takes messages again')
    blockedSince = now ? performance.now() : undefined
    changed()
  }

  const model: RecoveringChannelModel = await connect(withHeartbeat(url), {
    noDelay: true,
    keepAlive: true,
    timeout: CONNECT_TIMEOUT_MS,
    clientProperties: { connection_name: `onedyno ${name}` },
    recovery: RECOVERY,
  })
  model.on('connect', connected)
  model.on('disconnect', away)
  model.on('connect-failed', away)
  model.on('blocked', (reason) => block(true, reason))
  model.on('unblocked', () => block(false))
  // The loss itself is told by `disconnect`; without a listener an 'error' would end the process.
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

/** What is said in the URL (`?heartbeat=…`) wins. */
function withHeartbeat(url: string): string {
  const parsed = new URL(url)
  if (!parsed.searchParams.has('heartbeat')) parsed.searchParams.set('heartbeat', String(HEARTBEAT_S))
  return parsed.href
}

/** Several addresses that all refused come as one error without words of its own. */
function reasonOf(error: Error): string {
  const [first] = (error as AggregateError).errors ?? []
  return error.message || (first as Error | undefined)?.message || (error as NodeJS.ErrnoException).code || 'connection lost'
}
