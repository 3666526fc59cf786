import type { Message } from '../message/message.ts'
import { type Decoded, decodeCelery, encodeCelery, type WireProperties } from '../message/wire.ts'
import { fromWirePriority, toWirePriority } from './redis-keys.ts'

/** A message as kombu puts it into a list: one JSON object (reference/celery-protocol.md §2.2). HOT: once per publish. */
export function encodeEnvelope(message: Message, deliveryTag: string): { text: string; wirePriority: number } {
  const { headers, properties, body } = encodeCelery(message)
  const { content_type, content_encoding, ...rest } = properties
  const wirePriority = toWirePriority(message.priority)
  const text = JSON.stringify({
    body: body.toString('base64'),
    'content-encoding': content_encoding,
    'content-type': content_type,
    headers,
    properties: {
      ...rest,
      delivery_info: { exchange: '', routing_key: message.queue },
      priority: wirePriority,
      body_encoding: 'base64',
      delivery_tag: deliveryTag,
    },
  })
  return { text, wirePriority }
}

export interface Opened extends Decoded {
  readonly tag: string
  /** Somebody had it before, and it was restored: its outcome may be known already. */
  readonly redelivered: boolean
}

/**
 * HOT: once per delivery.
 * @throws Error when it is no envelope at all; what is wrong inside is told by `refused`
 */
export function openEnvelope(text: string, queue: string): Opened {
  const envelope = JSON.parse(text) as Record<string, unknown>
  const properties = envelope.properties as Record<string, unknown>
  const given = isRecord(envelope.headers) ? envelope.headers : {}
  const { redelivered, ...headers } = given
  const body = bodyOf(envelope.body, properties.body_encoding)
  const priority = typeof properties.priority === 'number' ? properties.priority : 0
  const wire: WireProperties = {
    ...(properties as WireProperties),
    content_type: textOf(envelope['content-type']),
    content_encoding: textOf(envelope['content-encoding']),
    priority: fromWirePriority(priority),
  }
  const decoded = decodeCelery({ headers, properties: wire, body, queue })
  const { delivery_tag, delivery_info } = properties as {
    delivery_tag: string | number
    delivery_info?: { redelivered?: boolean }
  }
  return {
    ...decoded,
    tag: String(delivery_tag),
    redelivered: redelivered === true || delivery_info?.redelivered === true,
  }
}

/** kombu writes base64; an envelope without `body_encoding` has its body as text. */
function bodyOf(body: unknown, encoding: unknown): Buffer {
  if (typeof body !== 'string') return Buffer.from(JSON.stringify(body ?? null))
  return Buffer.from(body, encoding === 'base64' ? 'base64' : 'utf8')
}

const textOf = (value: unknown) => (typeof value === 'string' ? value : undefined)

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
