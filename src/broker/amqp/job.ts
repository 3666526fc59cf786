import type { Options } from 'amqplib'
import type { Message } from '../../message/message.ts'
import { encodeCelery } from '../../message/wire.ts'
import { isEnd, type JobEnd, type JobEvent, type JobState, next } from './job-state.ts'
import { typedFields } from './typed-fields.ts'

/** The longest short string of AMQP 0-9-1 (§4.2.5.3), in bytes. */
export const MAX_SHORT_BYTES = 255

/** A message on its way to RabbitMQ (publisher.ts). */
export interface Job {
  readonly queue: string
  readonly body: Buffer
  readonly options: Options.Publish
  state: JobState
  /** True: if the server refuses the queue, the job waits until the queue takes messages. False: the job ends as `putOff`. */
  readonly waitsForQueue: boolean
  /** Called once, when the job has ended. */
  readonly onEnd: (end: JobEnd) => void
}

/** Applies an event to a job, and reports its end. HOT: called twice for each message. */
export function apply(job: Job, event: JobEvent): void {
  const state = next(job.state, event)
  if (state === job.state) return
  job.state = state
  if (isEnd(state)) job.onEnd(state)
}

/** Checks without a connection if AMQP can carry a message. @returns the reason why it cannot, or undefined */
export function unsendable({ queue, headers }: Pick<Message, 'queue' | 'headers'>): Error | undefined {
  if (Buffer.byteLength(queue) > MAX_SHORT_BYTES) return new Error(`the name of the queue has more than ${MAX_SHORT_BYTES} bytes`)
  const isLong = (name: string) => Buffer.byteLength(name) > MAX_SHORT_BYTES
  return Object.keys(headers).some(isLong) ? new Error(`the name of a header has more than ${MAX_SHORT_BYTES} bytes`) : undefined
}

/** Encodes a message for AMQP. HOT: called once for each message. */
export function encodeJob(message: Message): Pick<Job, 'queue' | 'body' | 'options'> {
  const { headers, properties, body } = encodeCelery(message)
  // The property `expiration` is not set: RabbitMQ would drop the message, no outcome would be stored, and its task would stay
  // PENDING. Workers, Celery's included, check the header `expires` instead.
  const { content_type, content_encoding, priority, correlation_id, reply_to } = properties
  const options: Options.Publish = {
    headers: typedFields(headers),
    deliveryMode: 2,
    mandatory: true,
    contentType: content_type!,
    contentEncoding: content_encoding!,
  }
  if (priority !== undefined) options.priority = priority
  // A correlation id of 255 characters may have more than 255 bytes. If it is left out, the worker replies with the task id.
  if (correlation_id !== undefined && Buffer.byteLength(correlation_id) <= MAX_SHORT_BYTES) options.correlationId = correlation_id
  if (reply_to !== undefined) options.replyTo = reply_to
  return { queue: message.queue, body, options }
}
