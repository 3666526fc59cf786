import { pauseMs } from '../../concurrency/retry.ts'
import type { Database } from '../../database/database.ts'
import { startWokenLoop } from '../../database/woken-loop.ts'
import type { Log } from '../../log.ts'
import type { Broker } from '../broker.ts'

const BATCH = 500
const MAX_SLEEP_MS = 5000
/** The pause when another relay has locked due rows. It usually publishes them within milliseconds, but it may fail or its machine may vanish. */
const HELD = { firstMs: 20, maxMs: 1000 }

/** The loop that publishes due messages of the outbox. It runs in worker and beat; rows are locked, so any number of loops may run. */
export interface OutboxRelay {
  /** Resolves when the statement under way has ended. */
  stop(): Promise<void>
}

/** NOTIFY wakes the loop when a row is added, and a timer at the next due time. Never rejects: while the database or the broker is away it tries again. */
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
