import type { Channel, Options } from 'amqplib'
import { pauseMs } from '../../concurrency/retry.ts'
import { sleep } from '../../concurrency/sleep.ts'
import type { Log } from '../../log.ts'
import {
  type ControlMessage,
  type ControlTransport,
  EVENTS,
  REPLIES,
  REQUESTS,
  readJson,
  type Stop,
} from '../control-transport.ts'
import { withAnswerTimeout } from './answer-timeout.ts'
import type { AmqpConnection } from './connection.ts'
import { typedFields } from './typed-fields.ts'

const BACKOFF = { firstMs: 100, maxMs: 5000 }
/** AMQP 0-9-1: the exchange or queue exists with other properties. */
const PRECONDITION_FAILED = 406
/**
 * Queues as kombu declares them: RabbitMQ deletes a queue with its consumer, or 10 s after the consumer vanished. Requests
 * expire after five minutes.
 */
const MAILBOX: Options.AssertQueue = {
  durable: false,
  autoDelete: true,
  arguments: { 'x-expires': 10_000, 'x-message-ttl': 300_000 },
}

export interface AmqpControlParts {
  readonly connection: AmqpConnection
  readonly log: Log
  readonly bindQueue: NonNullable<ControlTransport['bindQueue']>
}

/** Remote control on one channel of the process's existing connection. The channel is opened again after a reconnection. */
export function createAmqpControl({ connection, log, bindQueue }: AmqpControlParts): ControlTransport {
  const control = createControlChannel(connection, log)

  const send = (exchange: string, key: string, { headers, body }: ControlMessage, deliveryMode: 1 | 2) => {
    if (connection.blockedSince !== undefined) return
    const json = { contentType: 'application/json', contentEncoding: 'utf-8' }
    const options = { ...json, headers: typedFields(headers), deliveryMode, priority: 0 }
    control.publish({ exchange, key, content: Buffer.from(JSON.stringify(body)), options })
  }

  return {
    carriesEvents: true,
    bindQueue,
    serve: (worker, onRequest) => control.consume(mailbox(`${worker}.${REQUESTS}`, { exchange: REQUESTS, key: '' }, onRequest)),
    collect: (address, onReply) =>
      control.consume(mailbox(`${address}.${REPLIES}`, { exchange: REPLIES, key: address }, onReply)),
    async broadcast(request) {
      const channel = await control.current()
      send(REQUESTS, '', request, 2)
      // RabbitMQ answers after it has accepted the request. So the request reaches every worker even if this process ends after
      // the answer.
      if (connection.blockedSince === undefined) await withAnswerTimeout('a request to workers', channel.checkExchange(REQUESTS))
    },
    reply: (to, reply) => {
      // Publishing to an unknown exchange would close the channel. Only kombu's clients send requests, and they all use this
      // exchange.
      if (to.exchange === REPLIES) send(REPLIES, to.routing_key, reply, 1)
    },
    emit(routingKey, event) {
      if (!control.isOpen) void control.current().catch(() => {})
      else if (!control.isFull) send(EVENTS, routingKey, event, 1)
    },
    close: control.close,
  }
}

/** A queue bound to an exchange, and its consumer. */
interface Mailbox {
  readonly tag: string
  openOn(channel: Channel): Promise<void>
}

interface Binding {
  readonly exchange: string
  readonly key: string
}

const mailbox = (name: string, { exchange, key }: Binding, onMessage: (message: ControlMessage) => void): Mailbox => {
  const tag = `onedyno ${name}`
  const hear = (raw: { content: Buffer; properties: { headers?: object | undefined } } | null) => {
    const body = raw === null ? undefined : readJson(raw.content.toString())
    if (body !== undefined) onMessage({ headers: { ...raw?.properties.headers }, body })
  }
  return {
    tag,
    async openOn(channel) {
      await channel.assertQueue(name, MAILBOX)
      await channel.bindQueue(name, exchange, key)
      await channel.consume(name, hear, { noAck: true, consumerTag: tag })
    },
  }
}

interface Publication {
  readonly exchange: string
  readonly key: string
  readonly content: Buffer
  readonly options: Options.Publish
}

/** A channel that opens again with all its mailboxes. */
function createControlChannel(connection: AmqpConnection, log: Log) {
  const mailboxes = new Set<Mailbox>()
  const ending = new AbortController()
  let opening: Promise<Channel> | undefined
  let channel: Channel | undefined
  /** True while the socket is full. Events are then dropped, so that they do not fill the memory. */
  let isFull = false

  const open = async (): Promise<Channel> => {
    await declareExchanges(connection)
    const opened = await connection.createChannel()
    opened.on('error', (error) => log.debug({ reason: error.message }, 'control channel closed by RabbitMQ'))
    opened.on('drain', () => {
      isFull = false
    })
    opened.on('close', () => {
      // If the channel closed before it was in use, `current` opens another.
      if (channel !== opened) return
      opening = undefined
      channel = undefined
      if (mailboxes.size > 0 && !ending.signal.aborted) void current().catch(() => {})
    })
    for (const each of mailboxes) await each.openOn(opened)
    channel = opened
    isFull = false
    return opened
  }

  /** Resolves with the open channel. If no channel is open, waits until one can be opened. */
  const current = (): Promise<Channel> => {
    opening ??= (async () => {
      for (let attempt = 0; ; ) {
        try {
          return await open()
        } catch (error) {
          if (ending.signal.aborted || connection.closed) throw error
          log.debug({ reason: (error as Error).message }, 'remote control not possible now, trying again')
          await sleep(pauseMs(attempt++, BACKOFF), ending.signal)
        }
      }
    })()
    return opening
  }

  return {
    current,
    get isOpen() {
      return channel !== undefined
    },
    get isFull() {
      return isFull
    },
    async consume(box: Mailbox): Promise<Stop> {
      mailboxes.add(box)
      if (channel === undefined) await current()
      else await box.openOn(channel).catch(current)
      return async () => {
        mailboxes.delete(box)
        // RabbitMQ deletes the queue with its last consumer.
        await channel?.cancel(box.tag).catch(() => {})
      }
    },
    /** Drops the message if no channel is open. */
    publish({ exchange, key, content, options }: Publication) {
      if (channel === undefined) return
      try {
        isFull = !channel.publish(exchange, key, content, options)
      } catch (error) {
        log.debug({ reason: (error as Error).message }, 'control message not sent')
      }
    },
    async close() {
      ending.abort()
      mailboxes.clear()
      await channel?.close().catch(() => {})
    },
  }
}

/**
 * Declares each exchange on its own channel, because a refusal closes the channel. An exchange that exists with other properties
 * (Celery can make it durable) is used as it is.
 */
async function declareExchanges(connection: AmqpConnection): Promise<void> {
  const exchanges = [
    [REQUESTS, 'fanout', false],
    [REPLIES, 'direct', false],
    [EVENTS, 'topic', true],
  ] as const
  for (const [name, type, durable] of exchanges) {
    const channel = await connection.createChannel()
    channel.on('error', () => {})
    try {
      await channel.assertExchange(name, type, { durable, autoDelete: false })
      await channel.close()
    } catch (error) {
      if ((error as { code?: number }).code !== PRECONDITION_FAILED) throw error
    }
  }
}
