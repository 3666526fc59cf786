import { randomUUID } from 'node:crypto'
import type { Redis } from 'ioredis'
import type { Log } from '../../log.ts'
import {
  type ControlMessage,
  type ControlTransport,
  EVENTS,
  REPLIES,
  REQUESTS,
  type ReplyTo,
  readJson,
  type Stop,
} from '../control-transport.ts'
import type { Command, RedisConnection } from './connection.ts'

/** kombu's separator between the parts of a binding. */
const SEPARATOR = '\x06\x16'
/** Replies that no client fetches expire after this time. kombu would keep them for ever. Seconds. */
const REPLY_TTL_S = 60
/** A client polls its replies at this interval, for one or two seconds in all. Milliseconds. */
const POLL_MS = 25

/**
 * Remote control and events in kombu's layout on Redis: requests and events are sent with PUBLISH, replies are put in a list.
 * The worker receives requests on the connection that waits for messages, to save connections: small plans allow ten.
 */
export function createRedisControl(
  commands: RedisConnection,
  listening: () => RedisConnection,
  prefix: string,
  log: Log,
): ControlTransport {
  const channelOf = (exchange: string) => `${prefix}/${commands.database}.${exchange}`
  const stops = createStops()

  const send = (work: readonly Command[]) =>
    void commands.pipeline(work).catch((error: Error) => log.debug({ reason: error.message }, 'control message not sent'))

  return {
    carriesEvents: true,
    serve: (_worker, onRequest) => stops.remember(subscribe(listening(), channelOf(REQUESTS), onRequest)),
    collect: (address, onReply) => stops.remember(pollReplies(commands, { prefix, address, onReply })),
    async broadcast(request) {
      await commands.ready()
      await commands.pipeline([['PUBLISH', channelOf(REQUESTS), encode(REQUESTS, '', request, 2)]])
    },
    reply(to, reply) {
      const text = encode(to.exchange, to.routing_key, reply, 1)
      const answer = async () => {
        for (const list of await listsBoundTo(commands, prefix, to))
          send([
            ['LPUSH', list, text],
            ['EXPIRE', list, REPLY_TTL_S],
          ])
      }
      answer().catch((error: Error) => log.debug({ reason: error.message }, 'reply to a control request not sent'))
    },
    emit: (routingKey, event) => send([['PUBLISH', `${channelOf(EVENTS)}/${routingKey}`, encode(EVENTS, routingKey, event, 1)]]),
    close: stops.close,
  }
}

/** The subscriptions and polls that were started and not yet stopped. */
function createStops() {
  const stops = new Set<Stop>()
  return {
    async remember(starting: Promise<Stop>): Promise<Stop> {
      const stop = await starting
      const once = async () => {
        if (stops.delete(once)) await stop()
      }
      stops.add(once)
      return once
    },
    async close() {
      for (const stop of [...stops]) await stop()
    },
  }
}

async function subscribe(
  connection: RedisConnection,
  channel: string,
  onMessage: (message: ControlMessage) => void,
): Promise<Stop> {
  const listener = (from: string, text: string) => {
    const message = from === channel ? decode(text) : undefined
    if (message !== undefined) onMessage(message)
  }
  const subscribeOn = async (client: Redis) => {
    await client.subscribe(channel)
  }
  const client = await connection.ready()
  client.on('message', listener)
  const forget = connection.onReady((again) => void subscribeOn(again).catch(() => {}))
  await subscribeOn(client)
  return async () => {
    forget()
    client.off('message', listener)
    if (!connection.closed) await client.unsubscribe(channel).catch(() => {})
  }
}

interface Replies {
  readonly prefix: string
  readonly address: string
  readonly onReply: (reply: ControlMessage) => void
}

/** Binds a list to the exchange for replies, and polls the list. */
async function pollReplies(commands: RedisConnection, { prefix, address, onReply }: Replies): Promise<Stop> {
  const queue = `${address}.${REPLIES}`
  const member = [address, '', queue].join(SEPARATOR)
  const list = `${prefix}${queue}`
  let stopped = false
  await commands.ready()
  await commands.pipeline([['SADD', bindingsOf(prefix, REPLIES), member]])
  const poll = async () => {
    for (;;) {
      const [text] = await commands.pipeline([['RPOP', list]])
      if (typeof text !== 'string') return
      const reply = decode(text)
      if (reply !== undefined && !stopped) onReply(reply)
    }
  }
  const timer = setInterval(() => void poll().catch(() => {}), POLL_MS)
  return async () => {
    stopped = true
    clearInterval(timer)
    await commands
      .pipeline([
        ['SREM', bindingsOf(prefix, REPLIES), member],
        ['DEL', list],
      ])
      .catch(() => {})
  }
}

const bindingsOf = (prefix: string, exchange: string) => `${prefix}_kombu.binding.${exchange}`

/** Returns the lists that kombu's clients have bound to an exchange with this routing key. */
async function listsBoundTo(commands: RedisConnection, prefix: string, to: ReplyTo): Promise<string[]> {
  const [members] = await commands.pipeline([['SMEMBERS', bindingsOf(prefix, to.exchange)]])
  return (members as string[])
    .map((member) => member.split(SEPARATOR))
    .flatMap(([key, , queue]) => (key === to.routing_key && queue !== undefined ? [`${prefix}${queue}`] : []))
}

function encode(exchange: string, routingKey: string, { headers, body }: ControlMessage, deliveryMode: 1 | 2): string {
  return JSON.stringify({
    body: Buffer.from(JSON.stringify(body)).toString('base64'),
    'content-encoding': 'utf-8',
    'content-type': 'application/json',
    headers,
    properties: {
      delivery_mode: deliveryMode,
      delivery_info: { exchange, routing_key: routingKey },
      priority: 0,
      body_encoding: 'base64',
      delivery_tag: randomUUID(),
    },
  })
}

/** Decodes an envelope. @returns undefined if the text is not an envelope with a JSON body */
function decode(text: string): ControlMessage | undefined {
  const opened = readJson(text) as
    | { body?: unknown; headers?: object; properties?: { body_encoding?: unknown } }
    | null
    | undefined
  if (typeof opened?.body !== 'string') return undefined
  const encoding = opened.properties?.body_encoding === 'base64' ? 'base64' : 'utf8'
  const body = readJson(Buffer.from(opened.body, encoding).toString())
  return body === undefined ? undefined : { headers: { ...opened.headers }, body }
}
