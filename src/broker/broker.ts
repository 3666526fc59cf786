import type { Planner } from '../app/canvas/plan.ts'
import type { Effects } from '../app/effects.ts'
import type { Outcome } from '../app/outcome.ts'
import type { Message } from '../message/message.ts'
import type { WireRefusal } from '../message/wire.ts'
import type { ControlTransport } from './control-transport.ts'
import type { OutcomeBacklog } from './outcomes/backlog.ts'

/** A message in a worker's hands. It stays the broker's until it is finished or given back. */
export interface Delivery {
  readonly message: Message
  /** 1, and one more for each worker that died with this message (`Consumer.begin`). */
  readonly deliveries: number
  /** The broker's own handle. */
  readonly tag: unknown
  /** The message cannot be read, and why: it is recorded as FAILURE, or kept aside when it has no id. */
  readonly refused?: WireRefusal | undefined
}

/** Why a message is kept aside instead of run. */
export interface Refusal {
  readonly reason: string
}

export interface FinishOptions {
  readonly rejected?: boolean
  readonly effects?: Effects | undefined
}

/** Is told which messages leave now; they wait for it. Does not reject. */
export type BeforeSending = (messages: readonly Message[]) => Promise<void>

/** An outcome that is stored, and its message; without one it says that a task runs, or is of a task that ends with another. */
export interface StoredOutcome {
  readonly outcome: Outcome
  readonly message: Message | undefined
}

/** Tells outcomes where the clients of others look for them. */
export interface ResultMirror {
  /** Resolves when the messages may be acknowledged, soon, whatever happened to the place; never rejects. */
  write(outcomes: readonly StoredOutcome[]): Promise<void>
}

export interface ConsumeOptions {
  readonly queues: readonly string[]
  /** Tasks that run at once: the broker hands out at least as many and not many more, so that other workers get their share. */
  readonly concurrency: number
  /** Name of the worker, as in `celery@host`. */
  readonly name: string
  /** Called with new work. Must not throw. */
  readonly onDeliveries: (deliveries: readonly Delivery[]) => void
  /**
   * Deliveries keep the order of the queue, also those that come again: what must be looked up first holds up those behind it. There is to be
   * no other consumer; RabbitMQ refuses one, so that this one begins when the one before it, and all that it held, is known to be gone.
   */
  readonly inOrder?: boolean | undefined
  /** How bodies of chords become messages. Default: as their signatures say, without the options of registered tasks. */
  readonly planner?: Planner | undefined
  /** Is told what is stored, before it is acknowledged where that is possible. */
  readonly mirror?: ResultMirror | undefined
  /** Is told what was handed in and what is stored. It bounds nothing here: the worker begins no more. */
  readonly backlog?: OutcomeBacklog | undefined
}

/**
 * One worker's hold on its queues. Every method is safe to call at any time, also while the broker is away: what was finished is
 * remembered and settled when it is back.
 */
export interface Consumer {
  /**
   * The outcome is stored and the message acknowledged, in this order or in one commit; batched by the broker. `rejected`: it was never
   * run, so a broker that has a place for rejected messages (a dead letter exchange) puts it there. `effects`: written in the same commit.
   */
  finish(delivery: Delivery, outcome: Outcome | null, options?: FinishOptions): void
  /**
   * Acknowledges a message before it runs: from here on its worker's death loses it, and `requeue` only lets go of it. Its outcome is recorded
   * by `finish` all the same. Never rejects; while the broker is away it waits.
   * @returns true once the broker has let go of the message for certain; false when it hands it out again: then it must not run here, and
   * this consumer has forgotten it
   */
  acknowledge(delivery: Delivery): Promise<boolean>
  /**
   * Before a message with `deliveries` over 1 runs: should this worker die too, that is counted against the message. Durable when resolved.
   * The first death is counted without it, against all that the worker held, so that nothing is written for a message that runs once.
   */
  begin(delivery: Delivery): Promise<void>
  /** Says that a task runs, for whoever looks at it meanwhile. May be dropped when the outcome is known by then. */
  started(delivery: Delivery, outcome: Outcome): void
  /** Gives a message back, to be handed out again at once; `counted` counts it as a death. */
  requeue(delivery: Delivery, options: { counted: boolean }): void
  /** Keeps a message aside that can never be run. */
  deadLetter(delivery: Delivery, refusal: Refusal): void
  /** Takes no more messages. Resolves when none will arrive. */
  stop(): Promise<void>
  /** Resolves when everything that was finished, given back or kept aside is durable. */
  flush(): Promise<void>
  /**
   * Stops, flushes, and lets go of whatever is still held. After `withinMs` milliseconds (default: for ever) it gives up what the broker
   * did not take: those messages are handed out again.
   */
  close(withinMs?: number): Promise<void>
}

export interface QueueDepth {
  readonly queue: string
  readonly ready: number
  /** In the hands of workers. RabbitMQ tells nobody: there it counts the workers of this process only. */
  readonly running: number
}

/**
 * What a message broker must do. One contract suite (test/integration/broker/contract/) runs against every implementation:
 * a confirmed publish survives a crash; a message is acknowledged only when its outcome is stored; a dead worker's messages come back
 * within a second; higher priority first, then first in first out; queues do not block each other; workers share fairly.
 */
export interface Broker {
  readonly kind: 'postgres' | 'amqp' | 'redis'
  /**
   * Resolves when the broker has taken all of them; or, for a broker outside of the database, when it did not within PUBLISH_TIMEOUT and
   * the outbox keeps them until it is back.
   * @throws AppError BROKER_UNREACHABLE when nobody took any of them, MESSAGE_UNCONFIRMED when somebody may have, MESSAGE_REFUSED
   */
  publish(messages: readonly Message[]): Promise<void>
  consume(options: ConsumeOptions): Promise<Consumer>
  /**
   * Publishes what is due in the outbox, at most `limit` messages; several processes may do it at once.
   * @returns how many, and the milliseconds until the next one (null: none)
   */
  relayDue(limit: number): Promise<{ moved: number; nextDueMs: number | null }>
  depths(queues: readonly string[]): Promise<QueueDepth[]>
  /** Removes the ready messages of a queue. @returns how many */
  purge(queue: string): Promise<number>
  /** For events and remote control, on the connections that there are; loaded and opened when first asked for. To be closed before the broker. */
  control(): Promise<ControlTransport>
  close(): Promise<void>
}
