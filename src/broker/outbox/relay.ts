import { pauseMs } from '../../concurrency/retry.ts'
import type { Database } from '../../database/database.ts'
import { startWokenLoop } from '../../database/woken-loop.ts'
import type { Log } from '../../log.ts'
import type { Broker } from '../broker.ts'

const BATCH = 500
const MAX_SLEEP_MS = 5000
/**
 * The growing pause while due rows are left, because another relay has locked them. That relay usually publishes them within
 * milliseconds, but it may fail, or its machine may vanish.
 */
const HELD = { firstMs: 20, maxMs: 1000 }

/**
 * The loop that publishes due messages of the outbox. It runs in worker and beat. Each loop locks its rows, so any number of
 * loops may run.
 */
export interface OutboxRelay {
  /** Stops the loop. Resolves when the statement under way has ended. */
  stop(): Promise<void>
}

/**
 * Starts the loop. NOTIFY wakes it when a row is added, and a timer wakes it at the next due time. While the database or the
 * broker is away, the loop tries again.
 */
export async function startOutboxRelay(database: Database, broker: Broker, log: Log): Promise<OutboxRelay> {
  let held = 0

  const pass = async (): Promise<number> => {
    const { moved, nextDueMs } = await broker.relayDue(BATCH)
    if (moved === BATCH) return 0
    const left = nextDueMs !== null && nextDueMs <= 0
    held = left ? held + 1 : 0
    return left ? pauseMs(held - 1, HELD) : (nextDueMs ?? MAX_SLEEP_MS)
  }

  return startWokenLoop(database, {
    log,
    pass,
    channel: database.channel('outbox'),
    maxSleepMs: MAX_SLEEP_MS,
    words: { failed: 'outbox cannot be published now, trying again', restored: 'outbox is published again' },
  })
}
