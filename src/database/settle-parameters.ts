import type { Outcome } from '../app/outcome.ts'
import { notificationOf } from './notified-outcomes.ts'
import { outcomeColumns } from './outcome-columns.ts'

/** The input of message-settle.sql: the work that a worker has finished, and the number of messages that it can take. */
interface SettleTurn {
  /** Ids of the rows of `message` whose tasks have ended. */
  readonly acknowledged: readonly string[]
  readonly worker: { readonly id: number; readonly name: string }
  /** Each id occurs at most once, because one INSERT cannot write a row twice. */
  readonly outcomes: readonly Outcome[]
  /** NOTIFY channel of results. */
  readonly resultChannel: string
  /** Queues to claim from, in this order. */
  readonly queues: readonly string[]
  /** Maximum number of messages to claim; 0 claims nothing. */
  readonly limit: number
}

/** Returns the parameters of message-settle.sql in the order that its header lists. HOT: once per batch. */
export function settleParameters({ acknowledged, worker, outcomes, resultChannel, queues, limit }: SettleTurn): unknown[] {
  const { payload, final } = notificationOf(outcomes, worker.name)
  return [
    ...[acknowledged, worker.id, worker.name],
    ...outcomeColumns(outcomes),
    ...[resultChannel, payload, final],
    ...[queues, limit],
  ]
}
