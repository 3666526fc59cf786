import type { Outcome } from '../../app/outcome.ts'
import type { Delivery } from '../../broker/broker.ts'

/** What is told of tasks as it happens, for events and statistics. HOT: called for each task; must not throw. */
export interface WorkerObserver {
  received(deliveries: readonly Delivery[]): void
  started(delivery: Delivery): void
  ended(delivery: Delivery, outcome: Outcome): void
}
