import { randomUUID } from 'node:crypto'
import type { Redis } from 'ioredis'
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
import type { Command, RedisConnection } from './connection.ts'

/** kombu's separator between the parts of a binding. */
const SEPARATOR = '\x06\x16'
/** An answer that nobody has fetched by then is nobody's; kombu itself would leave it for ever. Seconds. */
const REPLY_TTL_S = 60
/** How often a client looks for answers, in milliseconds; it does so for a second or two. */
const LOOK_EVERY_MS = 25

/**
 * Remote control and events as kombu has them on Redis: PUBLISH to everybody, a list for the answers. The worker hears on the connection that
 * waits for messages anyhow, so that a plan with ten connections is enough.
 */
export function createRedisControl(
  commands: RedisConnection,
  listening: () => RedisConnection,
  prefix: string,
  log: Log,
): ControlTransport {
  const channelOf = (exchange: string) => `${prefix}/${commands.database}.${exchange}`
  const bindings = `${prefix}_kombu.binding.${REPLIES}`
  const stops = new Set<Stop>()

  const send = (work: readonly Command[]) =>
    void commands.pipeline(work).catch((error: Error) => log.debug({ reason: error.message }, 'control message not sent'))

  const serve = async (onRequest: (request: ControlMessage) => void): Promise<Stop> => {
    const heard = channelOf(REQUESTS)
    const connection = listening()
    const onMessage = (channel: string, text: string) => {
      const message = channel === heard ? openEnvelope(text) : undefined
      if (message !== undefined) onRequest(message)
    }
    const subscribe = async (client: Redis) => {
      await client.subscribe(heard)
    }
    const client = await connection.ready()
    client.on('message', onMessage)
    const forget = connection.onReady((again) => void subscribe(again).catch(() => {}))
    await subscribe(client)
    return async () => {
      forget()
      client.off('message', onMessage)
      if (!connection.closed) await client.unsubscribe(heard).catch(() => {})
    }
  }

  const collect = async (address: string, onReply: (reply: ControlMessage) => void): Promise<Stop> => {
    const queue = `${address}.${REPLIES}`
    const member = [address, '', queue].join(SEPARATOR)
    const list = `${prefix}${queue}`
    let over = false
    await commands.ready()
    await commands.pipeline([['SADD', bindings, member]])
    const look = async () => {
      for (;;) {
        const [text] = await commands.pipeline([['RPOP', list]])
        if (typeof text !== 'string') return
        const reply = openEnvelope(text)
        if (reply !== undefined && !over) onReply(reply)
      }
    }
    const timer = setInterval(() => void look().catch(() => {}), LOOK_EVERY_MS)
    return async () => {
      over = true
      clearInterval(timer)
      await commands
        .pipeline([
          ['SREM', bindings, member],
          ['DEL', list],
        ])
        .catch(() => {})
    }
  }

  const remember = async (stopping: Promise<Stop>): Promise<Stop> => {
    const stop = await stopping
    const once = async () => {
      if (stops.delete(once)) await stop()
    }
    stops.add(once)
    return once
  }

  return {
    carriesEvents: true,
    serve: (_worker, onRequest) => remember(serve(onRequest)),
    collect: (address, onReply) => remember(collect(address, onReply)),
    async broadcast(request) {
      await commands.ready()
      await commands.pipeline([['PUBLISH', channelOf(REQUESTS), envelope(REQUESTS, '', request, 2)]])
    },
    reply(to, reply) {
      const answer = async () => {
        const [members] = await commands.pipeline([['SMEMBERS', `${prefix}_kombu.binding.${to.exchange}`]])
        const queues = (members as string[]).map((member) => member.split(SEPARATOR)).filter(([key]) => key === to.routing_key)
        const text = envelope(to.exchange, to.routing_key, reply, 1)
        for (const [, , queue] of queues)
          if (queue !== undefined)
            send([
              ['LPUSH', `${prefix}${queue}`, text],
              ['EXPIRE', `${prefix}${queue}`, REPLY_TTL_S],
            ])
      }
      answer().catch((error: Error) => log.debug({ reason: error.message }, 'control answer not sent'))
    },
    emit: (routingKey, event) =>
      send([['PUBLISH', `${channelOf(EVENTS)}/${routingKey}`, envelope(EVENTS, routingKey, event, 1)]]),
    async close() {
      for (const stop of [...stops]) await stop()
    },
  }
}

function envelope(exchange: string, routingKey: string, { headers, body }: ControlMessage, deliveryMode: 1 | 2): string {
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

/** undefined: no envelope with a JSON body. */
function openEnvelope(text: string): ControlMessage | undefined {
  const opened = readJson(text) as
    | { body?: unknown; headers?: object; properties?: { body_encoding?: unknown } }
    | null
    | undefined
  if (typeof opened?.body !== 'string') return undefined
  const encoding = opened.properties?.body_encoding === 'base64' ? 'base64' : 'utf8'
  const body = readJson(Buffer.from(opened.body, encoding).toString())
  return body === undefined ? undefined : { headers: { ...opened.headers }, body }
}
