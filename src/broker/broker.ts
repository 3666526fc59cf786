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
  /** 1 plus the number of workers that died with this message (`Consumer.begin`). */
  readonly deliveries: number
  /** The handle of the broker. */
  readonly tag: unknown
  /** Why the message cannot be read. It is stored as FAILURE, or kept as a dead letter if it has no id. */
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

/** Called with the messages that are about to be sent. Sending waits for it. Does not reject. */
export type BeforeSending = (messages: readonly Message[]) => Promise<void>

/** A stored outcome. `message` is undefined for STARTED and for tasks that another task ended. */
export interface StoredOutcome {
  readonly outcome: Outcome
  readonly message: Message | undefined
}

/** Copies outcomes to the place where clients of Celery look for them. */
export interface ResultMirror {
  /** Resolves soon, also when the place is away; then the messages may be acknowledged. Never rejects. */
  write(outcomes: readonly StoredOutcome[]): Promise<void>
}

export interface ConsumeOptions {
  readonly queues: readonly string[]
  /** Slots. The broker hands out at least as many messages and not many more, so that other workers get their share. */
  readonly concurrency: number
  /** Name of the worker, as in `celery@host`. */
  readonly name: string
  /** Called with new messages. Must not throw. */
  readonly onDeliveries: (deliveries: readonly Delivery[]) => void
  /**
   * Deliveries keep the order of the queue, redelivered ones too: while a message is looked up, the messages behind it wait. There must be no
   * other consumer. RabbitMQ refuses a second one, so this consumer begins after the former one and everything that it held is gone.
   */
  readonly inOrder?: boolean | undefined
  /** Turns bodies of chords into messages. Default: a planner that uses their signatures alone, without the options of registered tasks. */
  readonly planner?: Planner | undefined
  /** Receives stored outcomes, with RabbitMQ and Redis before their messages are acknowledged. */
  readonly mirror?: ResultMirror | undefined
  /** Counts outcomes that are not yet stored. The consumer only reports to it; the worker starts no task while it is full. */
  readonly backlog?: OutcomeBacklog | undefined
}

/**
 * One worker's hold on its queues. Every method may be called at any time, also while the broker is away: finished messages are settled when
 * it is back.
 */
export interface Consumer {
  /**
   * Stores the outcome and acknowledges the message, in this order or in one commit; the broker forms batches. `rejected`: the message never
   * ran, so a broker with a dead letter exchange puts it there. `effects`: written in the commit of the outcome.
   */
  finish(delivery: Delivery, outcome: Outcome | null, options?: FinishOptions): void
  /**
   * Acknowledges a message before it runs. From then on the message is lost if its worker dies, and `requeue` only removes it here. `finish`
   * stores its outcome as usual. Never rejects; waits while the broker is away.
   * @returns true once the broker has certainly deleted the message; false if the broker may deliver it again: then it must not run here, and
   * this consumer does not hold it any more
   */
  acknowledge(delivery: Delivery): Promise<boolean>
  /**
   * To be called before a message with `deliveries` over 1 runs: if this worker dies too, its death counts against the message. Durable when
   * resolved. The first death counts without it, against every message that the worker held, so that a message that runs once costs no write.
   */
  begin(delivery: Delivery): Promise<void>
  /** Stores that a task runs, for clients that look at it meanwhile. May be dropped if the final outcome is in the same batch. */
  started(delivery: Delivery, outcome: Outcome): void
  /** Gives a message back to its queue at once. `counted`: counts as a death. */
  requeue(delivery: Delivery, options: { counted: boolean }): void
  /** Keeps a message that nobody can run as a dead letter. */
  deadLetter(delivery: Delivery, refusal: Refusal): void
  /** Takes no more messages. Resolves when none will arrive any more. */
  stop(): Promise<void>
  /** Resolves when every finish, requeue and dead letter is durable. */
  flush(): Promise<void>
  /**
   * Stops, flushes, and requeues the messages that are still held. After `withinMs` milliseconds (default: no limit) it gives up the writes
   * that did not succeed: the broker delivers those messages again.
   */
  close(withinMs?: number): Promise<void>
}

export interface QueueDepth {
  readonly queue: string
  readonly ready: number
  /** Held by workers. RabbitMQ does not report it: there it counts the workers of this process only. */
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
   * Resolves when the broker has confirmed all messages. A broker outside the database that does not confirm within PUBLISH_TIMEOUT leaves
   * them to the outbox, which publishes them when it is back; then it resolves too.
   * @throws AppError BROKER_UNREACHABLE: no message was accepted; MESSAGE_UNCONFIRMED: some may have been; MESSAGE_REFUSED
   */
  publish(messages: readonly Message[]): Promise<void>
  consume(options: ConsumeOptions): Promise<Consumer>
  /**
   * Publishes due messages of the outbox, at most `limit`. Several processes may do so at once.
   * @returns how many, and the milliseconds until the next one is due (null: none)
   */
  relayDue(limit: number): Promise<{ moved: number; nextDueMs: number | null }>
  depths(queues: readonly string[]): Promise<QueueDepth[]>
  /** Removes the ready messages of a queue. @returns how many */
  purge(queue: string): Promise<number>
  /** The transport of events and remote control, on the broker's own connections. Loaded at the first call. To be closed before the broker. */
  control(): Promise<ControlTransport>
  close(): Promise<void>
}
