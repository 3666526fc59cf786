import type { Log } from '../../log.ts'
import type { Message } from '../../message/message.ts'
import type { ConsumeOptions } from '../broker.ts'
import type { HeldTable } from '../consumer/held.ts'
import type { Prefetch } from '../consumer/prefetch.ts'
import { isStored } from '../outcomes/effects.ts'
import type { PostgresHeld } from './held.ts'
import { type MessageRow, toMessage } from './row.ts'

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
   * A message that was made ready while it was held (message-reclaim.sql) may be claimed again. If it is finished, it only needs its
   * acknowledgement: no statement acknowledges a message that it claims.
   */
  const isNew = ({ id }: MessageRow, finished: ReadonlySet<string | undefined>): boolean => {
    if (!finished.has(id)) return !held.hasKey(id)
    acknowledge(id, false)
    return false
  }

  /** @param finished tags of settlements that waited when the rows were claimed */
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

/** A row with unreadable headers is delivered too: the worker refuses the message and stores why. */
function readMessage(row: MessageRow): Message {
  try {
    return toMessage(row)
  } catch {
    return toMessage({ ...row, headers: null, properties: null, body: '' })
  }
}
