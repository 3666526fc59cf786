/** Celery's logical clock: consumers of events order by it what happened on several machines. */
export interface Lamport {
  readonly value: number
  /** Before each message that leaves. */
  forward(): number
  /** After each message that came, with its clock. */
  adjust(other: unknown): void
}

export function createLamport(): Lamport {
  let value = 0
  return {
    get value() {
      return value
    },
    forward: () => ++value,
    adjust(other) {
      if (typeof other === 'number' && Number.isSafeInteger(other)) value = Math.max(value, other) + 1
    },
  }
}
