import type { Planner } from '../app/canvas/plan.ts'
import type { Effects } from '../app/effects.ts'
import type { Outcome } from '../app/outcome.ts'
import type { Message } from '../message/message.ts'
import type { WireRefusal } from '../message/wire.ts'
import type { ControlTransport } from './control-transport.ts'
import type { OutcomeBacklog } from './outcomes/backlog.ts'

/** A message that a worker holds. The broker keeps it until it is finished or requeued. */
export interface Delivery {
  readonly message: Message
  /** 1 plus the number of workers that died while they held this message (`Consumer.begin`). */
  readonly deliveries: number
  /** The broker's own handle of the delivery. Its type depends on the broker. */
  readonly tag: unknown
  /**
   * Why the message cannot be read. undefined: it can be read. An unreadable message ends as FAILURE, or as a dead letter if it
   * has no id.
   */
  readonly refused?: WireRefusal | undefined
}

/** Why a message becomes a dead letter. */
export interface Refusal {
  readonly reason: string
}

export interface FinishOptions {
  readonly rejected?: boolean
  readonly effects?: Effects | undefined
}

/** Called with the messages that are about to be sent. They are sent after the promise resolves. It must not reject. */
export type BeforeSending = (messages: readonly Message[]) => Promise<void>

/** A stored outcome. `message` is undefined for STARTED and for tasks that another task ended. */
export interface StoredOutcome {
  readonly outcome: Outcome
  readonly message: Message | undefined
}

/** Copies outcomes to the place where clients of Celery look for them. */
export interface ResultMirror {
  /**
   * Writes outcomes. Resolves soon, even if the target server is away. After it resolves, the messages may be acknowledged.
   * Never rejects.
   */
  write(outcomes: readonly StoredOutcome[]): Promise<void>
}

export interface ConsumeOptions {
  readonly queues: readonly string[]
  /**
   * The number of slots. The broker hands out at least this many messages and not many more, so that other workers get their
   * share.
   */
  readonly concurrency: number
  /** Name of the worker, as in `celery@host`. */
  readonly name: string
  /** Called with new messages. Must not throw. */
  readonly onDeliveries: (deliveries: readonly Delivery[]) => void
  /**
   * True: deliveries keep the order of the queue, redelivered messages included. While the history of a message is looked up,
   * the messages behind it wait. The queue must have no other consumer. RabbitMQ refuses a second consumer, so this consumer
   * begins when the former consumer is gone and its messages are back in the queue.
   */
  readonly inOrder?: boolean | undefined
  /** Turns bodies of chords into messages. Default: a planner that uses their signatures alone, without the options of registered tasks. */
  readonly planner?: Planner | undefined
  /** Receives stored outcomes, with RabbitMQ and Redis before their messages are acknowledged. */
  readonly mirror?: ResultMirror | undefined
  /**
   * Counts outcomes that are not yet stored. The consumer only reports to the backlog; the worker starts no task while the
   * backlog is full.
   */
  readonly backlog?: OutcomeBacklog | undefined
}

/**
 * One worker's hold on its queues. Every method may be called at any time, also while the broker is away: finished messages are settled when
 * it is back.
 */
export interface Consumer {
  /**
   * Stores the outcome and acknowledges the message, in this order or in one commit. The broker forms batches. `rejected`: the
   * message never ran, so a broker with a dead letter exchange moves the message there. `effects`: written in the commit of the
   * outcome.
   */
  finish(delivery: Delivery, outcome: Outcome | null, options?: FinishOptions): void
  /**
   * Acknowledges a message before it runs. After that, the message is lost if its worker dies, and `requeue` only removes it
   * from this consumer. `finish` stores its outcome as usual. Never rejects; waits while the broker is away.
   * @returns true when the broker has certainly deleted the message. false if the broker may deliver it again: the message must
   * not run here, and this consumer does not hold it any more
   */
  acknowledge(delivery: Delivery): Promise<boolean>
  /**
   * Must be called before a message with `deliveries` above 1 runs. If this worker dies too, its death then counts against the
   * message. The call is durable when it resolves. A first death needs no call: it counts against every message that the worker
   * held, so a message that is delivered once costs no write.
   */
  begin(delivery: Delivery): Promise<void>
  /**
   * Stores that a task runs, for clients that read its state before it ends. Not stored if the final outcome is in the same
   * batch.
   */
  started(delivery: Delivery, outcome: Outcome): void
  /** Gives a message back to its queue at once. `counted`: the requeue counts as a death of a worker. */
  requeue(delivery: Delivery, options: { counted: boolean }): void
  /** Keeps a message that nobody can run as a dead letter. */
  deadLetter(delivery: Delivery, refusal: Refusal): void
  /** Stops taking messages. Resolves when no further message can arrive. */
  stop(): Promise<void>
  /** Resolves when every finish, requeue and dead letter is durable. */
  flush(): Promise<void>
  /**
   * Stops, flushes, and requeues the messages that are still held. After `withinMs` milliseconds (default: no limit) it gives up
   * the writes that did not succeed, and the broker delivers their messages again.
   */
  close(withinMs?: number): Promise<void>
}

export interface QueueDepth {
  readonly queue: string
  readonly ready: number
  /**
   * Messages that workers hold. RabbitMQ does not report this number, so with RabbitMQ only the workers of this process are
   * counted.
   */
  readonly running: number
}

/**
 * A message broker. One contract suite (test/integration/broker/contract/) runs against every implementation:
 * a confirmed publish survives a crash; a message is acknowledged only after its outcome is stored; a dead worker's messages come back
 * within a second; higher priorities come first, then first in, first out; queues do not block each other; workers share fairly.
 */
export interface Broker {
  readonly kind: 'postgres' | 'amqp' | 'redis'
  /**
   * Resolves when the broker has confirmed all messages. If a broker outside the database does not confirm within
   * PUBLISH_TIMEOUT, the messages are kept in the outbox, the call resolves, and the relay publishes them when the broker is
   * back.
   * @throws AppError BROKER_UNREACHABLE: no message was accepted; MESSAGE_UNCONFIRMED: some messages may have been accepted;
   * MESSAGE_REFUSED
   */
  publish(messages: readonly Message[]): Promise<void>
  consume(options: ConsumeOptions): Promise<Consumer>
  /**
   * Publishes due messages of the outbox, at most `limit`. Several processes may call it at once.
   * @returns the number of published messages, and the milliseconds until the next message is due (null: the outbox is empty)
   */
  relayDue(limit: number): Promise<{ moved: number; nextDueMs: number | null }>
  depths(queues: readonly string[]): Promise<QueueDepth[]>
  /** Removes the ready messages of a queue. @returns the number of removed messages */
  purge(queue: string): Promise<number>
  /**
   * Returns the transport of events and remote control, on the broker's own connections. Its code is loaded at the first call.
   * The caller closes it before the broker.
   */
  control(): Promise<ControlTransport>
  close(): Promise<void>
}
