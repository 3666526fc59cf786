import type { Message } from '../../message/message.ts'
import { type Decoded, decodeCelery, encodeCelery, type WireProperties } from '../../message/wire.ts'
import { fromWirePriority, toWirePriority } from './keys.ts'
import { openPlainEnvelope } from './plain-envelope.ts'

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

interface Properties extends WireProperties {
  readonly delivery_tag: string | number
  readonly delivery_info?: { readonly redelivered?: boolean }
  readonly body_encoding?: unknown
}

/**
 * HOT: once per delivery.
 * @throws Error when it is no envelope at all; what is wrong inside is told by `refused`
 */
export function openEnvelope(text: string, queue: string): Opened {
  return openPlainEnvelope(text, queue) ?? readEnvelope(text, queue)
}

function readEnvelope(text: string, queue: string): Opened {
  const envelope = JSON.parse(text) as Record<string, unknown>
  const { reply_to, correlation_id, priority, delivery_tag, delivery_info, body_encoding } = envelope.properties as Properties
  const wire: WireProperties = {
    content_type: textOf(envelope['content-type']),
    content_encoding: textOf(envelope['content-encoding']),
    priority: fromWirePriority(typeof priority === 'number' ? priority : 0),
    correlation_id,
    reply_to,
  }
  const { headers, marked } = headersOf(envelope.headers)
  const decoded = decodeCelery({ headers, properties: wire, body: bodyOf(envelope.body, body_encoding), queue })
  const redelivered = marked || delivery_info?.redelivered === true
  return { message: decoded.message, refused: decoded.refused, tag: String(delivery_tag), redelivered }
}

/** kombu's mark of a restored message is not a header of the task. */
function headersOf(given: unknown): { headers: Record<string, unknown>; marked: boolean } {
  if (!isRecord(given)) return { headers: {}, marked: false }
  if (given.redelivered === undefined) return { headers: given, marked: false }
  const { redelivered, ...headers } = given
  return { headers, marked: redelivered === true }
}

/** The tag that a script found in what JSON.parse does not take: Lua's cjson is not that strict. */
export function tagOfUnreadable(text: string): string {
  const [, quoted, number] = [...text.matchAll(/"delivery_tag":\s*(?:("(?:[^"\\]|\\.)*")|(\d+))/g)].at(-1) ?? []
  return quoted === undefined ? (number ?? '') : (JSON.parse(quoted) as string)
}

/** kombu writes base64; an envelope without `body_encoding` has its body as text. */
function bodyOf(body: unknown, encoding: unknown): Buffer {
  if (typeof body !== 'string') return Buffer.from(JSON.stringify(body ?? null))
  return Buffer.from(body, encoding === 'base64' ? 'base64' : 'utf8')
}

const textOf = (value: unknown) => (typeof value === 'string' ? value : undefined)

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
