import type { Options } from 'amqplib'
import type { Message } from '../../message/message.ts'
import { encodeCelery } from '../../message/wire.ts'

/** Of the short texts of AMQP 0-9-1 (§4.2.5.3). */
export const MAX_SHORT_BYTES = 255

/** A message on its way to RabbitMQ (amqp-publisher.ts). */
export interface Job {
  readonly queue: string
  readonly body: Buffer
  readonly options: Options.Publish
  /** Nobody waits any more, or it is confirmed. */
  over: boolean
  /** The server found no queue for it. */
  returned: boolean
  /** It has left, so the server may have it, whatever was heard since. */
  sent: boolean
  readonly done: () => void
  /** Its queue takes no messages now, and why. undefined: that is waited for. */
  readonly putOff: ((reason: string) => void) | undefined
  /** It cannot be put into AMQP's words: no attempt ends otherwise. */
  readonly refuse: (reason: Error) => void
}

/** What AMQP has no words for, as far as it can be said without a connection; undefined: nothing that is known here. */
export function unsendable({ queue, headers }: Pick<Message, 'queue' | 'headers'>): Error | undefined {
  if (Buffer.byteLength(queue) > MAX_SHORT_BYTES) return new Error(`the name of the queue has more than ${MAX_SHORT_BYTES} bytes`)
  const isLong = (name: string) => Buffer.byteLength(name) > MAX_SHORT_BYTES
  return Object.keys(headers).some(isLong) ? new Error(`the name of a header has more than ${MAX_SHORT_BYTES} bytes`) : undefined
}

/** HOT: once per message. */
export function encodeJob(message: Message): Pick<Job, 'queue' | 'body' | 'options'> {
  const { headers, properties, body } = encodeCelery(message)
  // Without `expiration`: what RabbitMQ drops nobody records, and its task would stay PENDING. Workers, Celery's too, look at the header `expires`.
  const { content_type, content_encoding, priority, correlation_id, reply_to } = properties
  const options: Options.Publish = {
    headers,
    deliveryMode: 2,
    mandatory: true,
    contentType: content_type!,
    contentEncoding: content_encoding!,
  }
  if (priority !== undefined) options.priority = priority
  // An id of 255 characters may be longer than that in bytes: without it whoever answers says the id all the same.
  if (correlation_id !== undefined && Buffer.byteLength(correlation_id) <= MAX_SHORT_BYTES) options.correlationId = correlation_id
  if (reply_to !== undefined) options.replyTo = reply_to
  return { queue: message.queue, body, options }
}
