/**
 * Looks up redelivered messages one batch after the other, so that a queue that is consumed in order stays in order: a batch that arrives
 * during a look-up waits behind it.
 */
export interface OrderedLookup<D> {
  readonly isBusy: boolean
  /** Settles as the look-up of these deliveries. */
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
