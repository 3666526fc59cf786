import type { Delivery } from '../broker/broker.ts'
import type { Attempt } from './attempt/attempt.ts'

/** The next step of a message when a slot is free. */
export type Turn =
  /** It runs. */
  | 'run'
  /** A message with the same id runs here. This one waits for the outcome of that one, because an outcome is stored once. */
  | 'duplicate'
  /** It was delivered as often as allowed, and another such message runs. They run one at a time: if the worker dies again, only one is blamed. */
  | 'last-chance'

/** The messages that a worker has claimed, and what each of them waits for. */
export interface Inbox {
  /** Number of attempts that run. */
  readonly running: number
  /** Number of messages that wait for a slot. */
  readonly waiting: number
  /** The last message that waits for a slot. undefined: none waits. */
  readonly last: Delivery | undefined
  add(deliveries: readonly Delivery[]): void
  /** Takes the first message that waits for a slot. */
  shift(): Delivery | undefined
  /** Decides what happens to a message that was shifted. `run` marks its id as running. HOT: once per message. */
  turnOf(delivery: Delivery): Turn
  started(attempt: Attempt): void
  /** The attempt of a message is over. @returns its duplicates; undefined when it was over before */
  ended(delivery: Delivery): readonly Delivery[] | undefined
  /** Attempts that run, in the order of their starts. */
  attempts(): Iterable<Attempt>
  /** Messages that have not started, without duplicates. */
  reserved(): Delivery[]
  /** Everything that the worker has claimed, duplicates included. */
  all(): Iterable<Delivery>
  /** Takes all messages that have not started, without duplicates. */
  takeReserved(): Delivery[]
  /** Takes this message and all that wait before it. Empty when it does not wait any more. */
  takeUpTo(delivery: Delivery): Delivery[]
  /** Takes the waiting messages of queues other than these. */
  takeOtherQueues(queues: readonly string[]): Delivery[]
}

const NONE: readonly Delivery[] = []

/** @param maxDeliveries a message that is delivered for this time has its last chance */
export function createInbox(maxDeliveries: number): Inbox {
  const waiting: Delivery[] = []
  const running = new Map<Delivery, Attempt>()
  /** Duplicates by the id of the message that runs. */
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
