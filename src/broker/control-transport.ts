/**
 * A message that is not a task: a request to workers, a reply or an event. Never durable: a process that is not connected misses
 * it.
 */
export interface ControlMessage {
  readonly headers: Readonly<Record<string, unknown>>
  readonly body: unknown
}

/** The address for replies, as a request contains it. */
export interface ReplyTo {
  readonly exchange: string
  readonly routing_key: string
}

/** A queue that receives the messages of an exchange with a routing key. */
export interface QueueBinding {
  readonly queue: string
  readonly exchange: string
  /** The type of the exchange: direct, fanout or topic. */
  readonly type: string
  readonly routingKey: string
}

/** Ends a subscription. Never rejects. */
export type Stop = () => Promise<void>

/**
 * Remote control and events on Celery's exchanges and channels (docs/internals/wire-protocol.md), over the connections that the
 * broker already has. Nothing is sent unless a request arrives or events are enabled. A message that cannot be sent at once is
 * dropped, because it would be out of date later.
 */
export interface ControlTransport {
  /**
   * Subscribes to all requests to workers, and subscribes again after each lost connection. Resolves when it is subscribed;
   * waits while the broker is away.
   */
  serve(worker: string, onRequest: (request: ControlMessage) => void): Promise<Stop>
  /** Subscribes to the replies to requests whose `reply_to.routing_key` is `address`. */
  collect(address: string, onReply: (reply: ControlMessage) => void): Promise<Stop>
  /** Sends a request to all workers. @throws if the request cannot be sent */
  broadcast(request: ControlMessage): Promise<void>
  reply(to: ReplyTo, reply: ControlMessage): void
  /** Sends an event of the kind `routingKey` (`worker.heartbeat`, `task.multi`). */
  emit(routingKey: string, event: ControlMessage): void
  /**
   * Declares the exchange and the queue, both durable, and binds the queue to the exchange. undefined: this broker has no
   * exchanges.
   * @throws if the broker refuses
   */
  readonly bindQueue?: ((binding: QueueBinding) => Promise<void>) | undefined
  /** False: this broker carries no events, so callers need not create any. */
  readonly carriesEvents: boolean
  close(): Promise<void>
}

/** Celery's names of the exchanges in RabbitMQ and of the channels in Redis. */
export const REQUESTS = 'celery.pidbox'
export const REPLIES = 'reply.celery.pidbox'
export const EVENTS = 'celeryev'

/** @returns the parsed value, or undefined if the text is not JSON */
export function readJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
