import { decompress } from './decompress.ts'
import { fullHeaders, type Message, type MessageHeaders, parseCeleryTime } from './message.ts'
import { headersOfProtocol1, sparseHeaders } from './wire-headers.ts'

/** AMQP's properties under Celery's names. A message in Redis has the same properties. */
export interface WireProperties {
  readonly content_type?: string | undefined
  readonly content_encoding?: string | undefined
  readonly delivery_mode?: number | undefined
  readonly priority?: number | undefined
  readonly correlation_id?: string | undefined
  readonly reply_to?: string | undefined
  /** The time to live in milliseconds, as a decimal text. */
  readonly expiration?: string | undefined
}

/** A message in the form that is sent to the broker. */
export interface WireMessage {
  readonly headers: Readonly<Record<string, unknown>>
  readonly properties: WireProperties
  readonly body: Buffer
}

/** The reason why a message cannot be run: class and text of the error that Celery would raise. */
export interface WireRefusal {
  readonly name: 'ContentDisallowed' | 'DecodeError' | 'InvalidTaskError'
  readonly message: string
}

export interface Decoded {
  /** If the message is refused: the part that could be read. `headers.id` is empty if the id could not be read. */
  readonly message: Message
  readonly refused: WireRefusal | undefined
}

/**
 * Encodes a message in Celery's form with all of Celery's headers (docs/internals/wire-protocol.md, "Messages"). HOT: once per
 * publish.
 */
export function encodeCelery(message: Message, now: number = Date.now()): WireMessage {
  const headers = fullHeaders(message)
  const { correlation_id = headers.id, reply_to } = message.properties
  const properties: WireProperties = {
    content_type: 'application/json',
    content_encoding: 'utf-8',
    delivery_mode: 2,
    priority: message.priority,
    correlation_id,
    ...(reply_to === undefined ? {} : { reply_to }),
    ...expiration(headers, now),
  }
  return { headers, properties, body: Buffer.from(message.body) }
}

function expiration({ expires }: MessageHeaders, now: number): { expiration?: string } {
  const at = typeof expires === 'string' ? parseCeleryTime(expires) : Number.NaN
  return Number.isNaN(at) ? {} : { expiration: String(Math.max(0, Math.trunc(at - now))) }
}

/**
 * Decodes any message of a queue: protocol 2, protocol 1, or a mixture, compressed or not. Never throws. A message that cannot be read is
 * returned with Celery's error (docs/internals/wire-protocol.md, "Messages that cannot be run"). HOT: once per delivery.
 */
export function decodeCelery(wire: WireMessage & { readonly queue: string }): Decoded {
  const { headers, properties, queue } = wire
  const known = (body: string, from = headers): Message => messageOf(from, properties, body, queue)
  const disallowed = disallowedContent(properties.content_type)
  if (disallowed !== undefined) return { message: known(`base64:${wire.body.toString('base64')}`), refused: disallowed }
  let body: string
  try {
    body = bodyText(wire)
  } catch (error) {
    const refused: WireRefusal = { name: 'DecodeError', message: `Can't decode message body: ${(error as Error).message}` }
    return { message: known(`base64:${wire.body.toString('base64')}`), refused }
  }
  if (typeof headers.task === 'string' && typeof headers.id === 'string') return { message: known(body), refused: undefined }
  return fromBody(headers, body, known)
}

/**
 * If the headers `id` and `task` are missing, the body must hold all fields (protocol 1); otherwise the message is not a task.
 */
function fromBody(
  headers: Readonly<Record<string, unknown>>,
  body: string,
  known: (body: string, from?: Readonly<Record<string, unknown>>) => Message,
): Decoded {
  let inside: unknown
  try {
    inside = JSON.parse(body)
  } catch (error) {
    const refused: WireRefusal = { name: 'DecodeError', message: `Can't decode message body: ${(error as Error).message}` }
    return { message: known(body), refused }
  }
  const isObject = typeof inside === 'object' && inside !== null && !Array.isArray(inside)
  const all = isObject ? { ...headersOfProtocol1(inside as Record<string, unknown>), ...headers } : headers
  const message = known(body, all)
  if (typeof all.task !== 'string')
    return { message, refused: { name: 'InvalidTaskError', message: 'Received unknown message. Wrong destination?!?' } }
  if (message.headers.id === '') return { message, refused: { name: 'InvalidTaskError', message: 'the message has no id' } }
  return { message, refused: undefined }
}

function messageOf(headers: Readonly<Record<string, unknown>>, properties: WireProperties, body: string, queue: string): Message {
  const id = typeof headers.id === 'string' ? headers.id : ''
  const task = typeof headers.task === 'string' ? headers.task.replaceAll('\0', '\uFFFD') : '(unknown)'
  const { priority = 0, reply_to, correlation_id } = properties
  const kept: { reply_to?: string; correlation_id?: string } = {}
  if (typeof reply_to === 'string' && reply_to !== '') kept.reply_to = reply_to
  if (typeof correlation_id === 'string' && correlation_id !== id) kept.correlation_id = correlation_id
  return {
    headers: sparseHeaders(headers, id, task),
    properties: kept,
    body,
    queue,
    priority: Number.isInteger(priority) && priority >= 0 && priority <= 255 ? priority : 0,
  }
}

const KOMBU_NAMES: Readonly<Record<string, string>> = {
  'application/x-python-serialize': 'pickle',
  'application/x-yaml': 'yaml',
  'application/x-msgpack': 'msgpack',
}

/** An absent content type means JSON. (A Celery worker ends with an error on such a message.) */
function disallowedContent(type: string | undefined): WireRefusal | undefined {
  if (type === undefined || type === '' || /^application\/json\b/i.test(type)) return undefined
  const name = KOMBU_NAMES[type] ?? type
  return { name: 'ContentDisallowed', message: `Refusing to deserialize untrusted content of type ${name} (${type})` }
}

const UTF8 = new TextDecoder('utf-8', { fatal: true })

function bodyText({ headers, properties, body }: WireMessage): string {
  const plain = headers.compression == null ? body : decompress(body, headers.compression)
  const encoding = (properties.content_encoding ?? '').toLowerCase()
  const isUtf8 =
    encoding === 'utf-8' || encoding === '' || encoding === 'utf8' || encoding === 'binary' || encoding === 'us-ascii'
  return (isUtf8 ? UTF8 : new TextDecoder(encoding, { fatal: true })).decode(plain)
}
