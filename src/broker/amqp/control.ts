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
import type { AmqpConnection } from './connection.ts'
import { withAnswerTimeout } from './timeout.ts'

const BACKOFF = { firstMs: 100, maxMs: 5000 }
/** AMQP 0-9-1: the exchange or queue exists with other properties. */
const PRECONDITION_FAILED = 406
/** As kombu declares them: gone with their consumer, or 10 s after a consumer that only vanished; requests are for five minutes. */
const MAILBOX: Options.AssertQueue = {
  durable: false,
  autoDelete: true,
  arguments: { 'x-expires': 10_000, 'x-message-ttl': 300_000 },
}

/** Remote control on one channel of the connection that the process has already; it comes back with the connection. */
export function createAmqpControl(connection: AmqpConnection, log: Log): ControlTransport {
  const boxes = new Set<(channel: Channel) => Promise<unknown>>()
  const ending = new AbortController()
  let ready: Promise<Channel> | undefined
  let channel: Channel | undefined
  /** The socket is full: events are left out until it is not, instead of filling the memory. */
  let full = false

  const open = async (): Promise<Channel> => {
    await declareExchanges(connection)
    const opened = await connection.createChannel()
    opened.on('error', (error) => log.debug({ reason: error.message }, 'control channel closed by RabbitMQ'))
    opened.on('drain', () => {
      full = false
    })
    opened.on('close', () => {
      // One that breaks before it is in use is tried again by whoever opens it.
      if (channel !== opened) return
      ready = undefined
      channel = undefined
      if (boxes.size > 0 && !ending.signal.aborted) void current().catch(() => {})
    })
    for (const box of boxes) await box(opened)
    channel = opened
    full = false
    return opened
  }

  /** The open channel, or the next one that can be had. */
  const current = (): Promise<Channel> => {
    ready ??= (async () => {
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
    return ready
  }

  const mailbox = async (
    name: string,
    exchange: string,
    key: string,
    onMessage: (message: ControlMessage) => void,
  ): Promise<Stop> => {
    const tag = `onedyno ${name}`
    const box = async (on: Channel) => {
      await on.assertQueue(name, MAILBOX)
      await on.bindQueue(name, exchange, key)
      const hear = (raw: { content: Buffer; properties: { headers?: object | undefined } } | null) => {
        const body = raw === null ? undefined : readJson(raw.content.toString())
        if (body !== undefined) onMessage({ headers: { ...raw?.properties.headers }, body })
      }
      await on.consume(name, hear, { noAck: true, consumerTag: tag })
    }
    boxes.add(box)
    if (channel === undefined) await current()
    else await box(channel).catch(current)
    return async () => {
      boxes.delete(box)
      // The queue goes with its last consumer.
      await channel?.cancel(tag).catch(() => {})
    }
  }

  const send = (exchange: string, key: string, { headers, body }: ControlMessage, deliveryMode: 1 | 2) => {
    if (channel === undefined || connection.blockedSince !== undefined) return
    const options = { headers, deliveryMode, priority: 0, contentType: 'application/json', contentEncoding: 'utf-8' }
    try {
      full = !channel.publish(exchange, key, Buffer.from(JSON.stringify(body)), options)
    } catch (error) {
      log.debug({ reason: (error as Error).message }, 'control message not sent')
    }
  }

  return {
    carriesEvents: true,
    serve: (worker, onRequest) => mailbox(`${worker}.${REQUESTS}`, REQUESTS, '', onRequest),
    collect: (address, onReply) => mailbox(`${address}.${REPLIES}`, REPLIES, address, onReply),
    async broadcast(request) {
      const on = await current()
      send(REQUESTS, '', request, 2)
      // Answered after it has taken the request: who ends now has told everybody.
      if (connection.blockedSince === undefined) await withAnswerTimeout('a request to workers', on.checkExchange(REQUESTS))
    },
    reply: (to, reply) => {
      // An exchange that does not exist would cost the channel; nobody but kombu's clients asks, and they all use this one.
      if (to.exchange === REPLIES) send(REPLIES, to.routing_key, reply, 1)
    },
    emit(routingKey, event) {
      if (channel === undefined) void current().catch(() => {})
      else if (!full) send(EVENTS, routingKey, event, 1)
    },
    async close() {
      ending.abort()
      boxes.clear()
      await channel?.close().catch(() => {})
    },
  }
}

/** Each on a channel of its own: one that exists with other properties (Celery's settings can make it durable) is used as it is. */
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
