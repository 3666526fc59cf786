/**
 * Looks up redelivered messages one batch after the other, so that the messages of an ordered queue stay in order. A batch that
 * arrives during a lookup waits until the lookup ends.
 */
export interface OrderedLookup<D> {
  readonly isBusy: boolean
  /** Looks up deliveries after all earlier batches. Rejects if their lookup rejects. */
  add(deliveries: readonly D[]): Promise<void>
}

export function createOrderedLookup<D>(lookUp: (deliveries: readonly D[]) => Promise<void>): OrderedLookup<D> {
  let last: Promise<void> | undefined
  return {
    get isBusy() {
      return last !== undefined
    },
    add(deliveries) {
      const looked = (last ?? Promise.resolve()).then(() => lookUp(deliveries))
      const ended = looked
        .catch(() => {})
        .then(() => {
          if (last === ended) last = undefined
        })
      last = ended
      return looked
    },
  }
}
