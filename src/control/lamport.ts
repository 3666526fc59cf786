/** Celery's logical clock. Monitors order the events of several machines by it. */
export interface Lamport {
  readonly value: number
  /** Call before each message that is sent. */
  forward(): number
  /** Call with the clock of each message that arrived. */
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
