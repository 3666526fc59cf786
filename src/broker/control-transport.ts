/** What travels beside the tasks: a request to workers, an answer, an event. Never durable: who is away has missed it. */
export interface ControlMessage {
  readonly headers: Readonly<Record<string, unknown>>
  readonly body: unknown
}

/** Where an answer goes, as the request says it. */
export interface ReplyTo {
  readonly exchange: string
  readonly routing_key: string
}

/** Ends what was begun: a queue, a subscription. Never rejects. */
export type Stop = () => Promise<void>

/**
 * Remote control and events in the places where Celery has them (reference/celery-protocol.md §6), on the connections that the broker has
 * already. Nothing is sent unless somebody asks; what cannot be sent now is dropped, because it is about now.
 */
export interface ControlTransport {
  /** Hears every request to workers, again after each lost connection. Resolves when it does; on a broker that is away, when it is back. */
  serve(worker: string, onRequest: (request: ControlMessage) => void): Promise<Stop>
  /** Hears the answers to requests whose `reply_to.routing_key` is `address`. */
  collect(address: string, onReply: (reply: ControlMessage) => void): Promise<Stop>
  /** To all workers. @throws when it cannot be sent */
  broadcast(request: ControlMessage): Promise<void>
  reply(to: ReplyTo, reply: ControlMessage): void
  /** An event of the kind `routingKey` (`worker.heartbeat`, `task.multi`). */
  emit(routingKey: string, event: ControlMessage): void
  /** False where nobody can hear events: they need not be made. */
  readonly carriesEvents: boolean
  close(): Promise<void>
}

/** Names of Celery's exchanges, and on Redis of its channels. */
export const REQUESTS = 'celery.pidbox'
export const REPLIES = 'reply.celery.pidbox'
export const EVENTS = 'celeryev'

/** What is no JSON is nobody's request: undefined. */
export function readJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
