import type { Delivery } from '../broker.ts'
import type { Prefetch } from './prefetch.ts'

/** A message that the consumer has handed to its worker. */
export interface HeldDelivery extends Delivery {
  /** True: the message was acknowledged before it ran, so its end acknowledges nothing, and it cannot be requeued. */
  early: boolean
}

/** The messages that a worker holds. Reports to the prefetch when they end. */
export interface HeldTable<D extends HeldDelivery> {
  readonly size: number
  get(delivery: Delivery): D | undefined
  has(delivery: Delivery): boolean
  /** @param key the key of a delivery, as `keyOf` returns it */
  hasKey(key: unknown): boolean
  /** Adds a delivery without counting it in the prefetch: the caller counts a whole claim at once (`Prefetch.taken`). */
  add(delivery: D): void
  /** Replaces a delivery by a copy with more fields. @returns false if the delivery is not held any more */
  replace(delivery: D, by: D): boolean
  /** Removes a delivery that ended. @returns the delivery, or undefined if it is not held any more */
  finish(delivery: Delivery): D | undefined
  /** Removes a delivery that did not run to its end. @returns the delivery, or undefined if it is not held any more */
  release(delivery: Delivery): D | undefined
  releaseKey(key: unknown): D | undefined
  values(): D[]
}

/**
 * HOT.
 * @param keyOf returns the key of a delivery: the object itself, or its tag if the server may deliver the message to this worker
 * twice
 */
export function createHeldTable<D extends HeldDelivery>(
  prefetch: Pick<Prefetch, 'finished' | 'requeued'>,
  keyOf: (delivery: Delivery) => unknown = (delivery) => delivery,
): HeldTable<D> {
  const held = new Map<unknown, D>()

  const remove = (key: unknown): D | undefined => {
    const mine = held.get(key)
    if (mine !== undefined) held.delete(key)
    return mine
  }

  const releaseKey = (key: unknown): D | undefined => {
    const mine = remove(key)
    if (mine !== undefined) prefetch.requeued()
    return mine
  }

  return {
    get size() {
      return held.size
    },
    get: (delivery) => held.get(keyOf(delivery)),
    has: (delivery) => held.has(keyOf(delivery)),
    hasKey: (key) => held.has(key),
    add: (delivery) => void held.set(keyOf(delivery), delivery),
    replace(delivery, by) {
      if (!held.delete(keyOf(delivery))) return false
      held.set(keyOf(by), by)
      return true
    },
    finish(delivery) {
      const mine = remove(keyOf(delivery))
      if (mine !== undefined) prefetch.finished()
      return mine
    },
    release: (delivery) => releaseKey(keyOf(delivery)),
    releaseKey,
    values: () => [...held.values()],
  }
}
