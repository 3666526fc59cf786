import type { Delivery } from '../broker/broker.ts'
import type { Attempt } from './attempt/attempt.ts'

/** The action for a message when a slot is free. */
export type Turn =
  /** The message runs. */
  | 'run'
  /**
   * A message with the same id already runs in this worker. This one waits for that outcome, because an outcome is stored only
   * once.
   */
  | 'duplicate'
  /**
   * The message was delivered as often as allowed, and another such message runs. They run one at a time: if the worker dies
   * again, only one of them is blamed.
   */
  | 'last-chance'

/** The messages that a worker has claimed, and what each of them waits for. */
export interface Inbox {
  /** Number of attempts that run now. */
  readonly running: number
  /** Number of messages that wait for a slot. */
  readonly waiting: number
  /** The last message that waits for a slot; undefined if none waits. */
  readonly last: Delivery | undefined
  add(deliveries: readonly Delivery[]): void
  /** Takes the first message that waits for a slot. */
  shift(): Delivery | undefined
  /** Decides what happens to a message that was shifted. `run` marks its id as running. HOT: once per message. */
  turnOf(delivery: Delivery): Turn
  started(attempt: Attempt): void
  /** Called when the attempt of a message is over. @returns its duplicates; undefined if the attempt was already over */
  ended(delivery: Delivery): readonly Delivery[] | undefined
  /** Returns the attempts that run, in the order of their starts. */
  attempts(): Iterable<Attempt>
  /** Returns the messages that have not started, without duplicates. */
  reserved(): Delivery[]
  /** Returns every message that the worker has claimed, including duplicates. */
  all(): Iterable<Delivery>
  /** Removes and returns all messages that have not started, without duplicates. */
  takeReserved(): Delivery[]
  /** Removes and returns this message and all that wait before it. Empty if this message does not wait any more. */
  takeUpTo(delivery: Delivery): Delivery[]
  /** Removes and returns the waiting messages of all queues except the given ones. */
  takeOtherQueues(queues: readonly string[]): Delivery[]
}

const NONE: readonly Delivery[] = []

/** Creates an inbox. @param maxDeliveries with this number of deliveries a message has its last chance */
export function createInbox(maxDeliveries: number): Inbox {
  const waiting: Delivery[] = []
  const running = new Map<Delivery, Attempt>()
  /** The duplicates of each running message, by its id. */
  const duplicates = new Map<string, readonly Delivery[]>()
  const lastChances: Delivery[] = []
  let lastChance: Delivery | undefined

  const isLastChance = ({ deliveries }: Delivery) => deliveries > 1 && deliveries === maxDeliveries

  return {
    get running() {
      return running.size
    },
    get waiting() {
      return waiting.length
    },
    get last() {
      return waiting.at(-1)
    },
    add(deliveries) {
      for (const delivery of deliveries) waiting.push(delivery)
    },
    shift: () => waiting.shift(),
    turnOf(delivery) {
      const { id } = delivery.message.headers
      const others = duplicates.get(id)
      if (others !== undefined) {
        duplicates.set(id, [...others, delivery])
        return 'duplicate'
      }
      if (isLastChance(delivery)) {
        if (lastChance !== undefined) {
          lastChances.push(delivery)
          return 'last-chance'
        }
        lastChance = delivery
      }
      duplicates.set(id, NONE)
      return 'run'
    },
    started: (attempt) => void running.set(attempt.delivery, attempt),
    ended(delivery) {
      const { id } = delivery.message.headers
      if (!running.delete(delivery)) return undefined
      const others = duplicates.get(id) ?? NONE
      duplicates.delete(id)
      if (lastChance === delivery) {
        lastChance = undefined
        waiting.unshift(...lastChances.splice(0, 1))
      }
      return others
    },
    attempts: () => running.values(),
    reserved: () => [...waiting, ...lastChances],
    all: () => [...running.keys(), ...waiting, ...lastChances, ...[...duplicates.values()].flat()],
    takeReserved: () => [...waiting.splice(0), ...lastChances.splice(0)],
    takeUpTo: (delivery) => waiting.splice(0, waiting.indexOf(delivery) + 1),
    takeOtherQueues(queues) {
      const left = waiting.filter(({ message }) => !queues.includes(message.queue))
      for (const delivery of left) waiting.splice(waiting.indexOf(delivery), 1)
      return left
    },
  }
}
