import type { Log } from '../../log.ts'
import type { Message, MessageHeaders, MessageProperties } from '../../message/message.ts'
import type { ConsumeOptions, Delivery } from '../broker.ts'
import type { HeldDelivery, HeldTable } from '../consumer/held.ts'
import type { Prefetch } from '../consumer/prefetch.ts'
import { isStored } from '../outcomes/effects.ts'

/** A claimed row of table `message`. */
export interface MessageRow {
  /** bigint, which pg returns as text. */
  readonly id: string
  readonly queue: string
  readonly priority: number
  readonly deaths: number
  readonly task_id: string
  readonly task: string
  readonly headers: string | null
  readonly properties: string | null
  readonly body: string
  /**
   * The last attempt whose outcome is stored, for a redelivered message (sql/queries/redelivery-count.sql). null: no attempt, or
   * not redelivered.
   */
  readonly recorded: number | null
}

/** HOT: once per task. */
export function toMessage(row: MessageRow): Message {
  const headers = row.headers === null ? undefined : (JSON.parse(row.headers) as MessageHeaders)
  return {
    headers: headers === undefined ? { id: row.task_id, task: row.task } : { ...headers, id: row.task_id, task: row.task },
    properties: row.properties === null ? {} : (JSON.parse(row.properties) as MessageProperties),
    body: row.body,
    queue: row.queue,
    priority: row.priority,
  }
}

export interface PostgresHeld extends HeldDelivery {
  readonly tag: string
  /** True: the task runs although a worker has died with this message before (`Consumer.begin`). */
  begun: boolean
  /** True: a death was counted against the message because this worker was wrongly declared dead. */
  blamed: boolean
}

/** The server may claim a message for this worker a second time, under the same tag. */
export const tagOf = ({ tag }: Delivery): string => tag as string

export interface ClaimedParts {
  readonly held: HeldTable<PostgresHeld>
  readonly prefetch: Pick<Prefetch, 'taken'>
  readonly log: Log
  readonly onDeliveries: ConsumeOptions['onDeliveries']
  /** Acknowledges a message without running it. */
  readonly acknowledge: (tag: string, early: boolean) => void
}

/** Passes claimed messages to the worker, except for those whose outcome is stored. HOT. */
export function createClaimed({ held, prefetch, log, onDeliveries, acknowledge }: ClaimedParts) {
  /**
   * A message that became ready while this worker held it (message-reclaim.sql) may be claimed again. If the message is
   * finished, it only needs another acknowledgement, because a statement cannot acknowledge a message that it claims itself.
   */
  const isNew = ({ id }: MessageRow, finished: ReadonlySet<string | undefined>): boolean => {
    if (!finished.has(id)) return !held.hasKey(id)
    acknowledge(id, false)
    return false
  }

  /** @param finished tags of the settlements that were not yet written when the rows were claimed */
  return (claimed: readonly MessageRow[], finished: ReadonlySet<string | undefined>): void => {
    const rows = claimed.filter((row) => isNew(row, finished))
    const deliveries: PostgresHeld[] = []
    prefetch.taken(rows.length)
    for (const row of rows) {
      const message = readMessage(row)
      const delivery: PostgresHeld = {
        message,
        deliveries: row.deaths + 1,
        tag: row.id,
        early: false,
        begun: false,
        blamed: false,
      }
      held.add(delivery)
      if (isStored(message, row.recorded)) {
        log.info({ id: row.task_id, task: row.task }, 'outcome already stored, message acknowledged without running')
        held.finish(delivery)
        acknowledge(row.id, delivery.early)
      } else deliveries.push(delivery)
    }
    if (deliveries.length > 0) onDeliveries(deliveries)
  }
}

/** A row with unreadable headers is delivered as an empty message: the worker refuses it and stores the reason. */
function readMessage(row: MessageRow): Message {
  try {
    return toMessage(row)
  } catch {
    return toMessage({ ...row, headers: null, properties: null, body: '' })
  }
}
