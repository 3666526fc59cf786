/** Celery's logical clock. Monitors order the events of several machines by it. */
export interface Lamport {
  readonly value: number
  /** Advances the clock. Call it before each message that is sent. @returns the new clock */
  forward(): number
  /** Advances the clock past the clock of another process. Call it for each message that arrives. */
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
