import type { Outcome } from '../app/outcome.ts'
import { notificationOf } from './notified-outcomes.ts'
import { outcomeColumns } from './outcome-columns.ts'

/** The input of message-settle.sql: what a worker has finished, and how much it can take. */
interface SettleTurn {
  /** Rows of `message` whose tasks have ended. */
  readonly acknowledged: readonly string[]
  readonly worker: { readonly id: number; readonly name: string }
  /** Each id at most once: one INSERT cannot touch a row twice. */
  readonly outcomes: readonly Outcome[]
  /** NOTIFY channel of results. */
  readonly resultChannel: string
  /** Queues to claim from, the first one first. */
  readonly queues: readonly string[]
  /** Messages to claim at most; 0 claims nothing. */
  readonly limit: number
}

/** The parameters of message-settle.sql in their order, which its header lists. HOT: once per batch. */
export function settleParameters({ acknowledged, worker, outcomes, resultChannel, queues, limit }: SettleTurn): unknown[] {
  const { payload, final } = notificationOf(outcomes, worker.name)
  return [
    ...[acknowledged, worker.id, worker.name],
    ...outcomeColumns(outcomes),
    ...[resultChannel, payload, final],
    ...[queues, limit],
  ]
}
