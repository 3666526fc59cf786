import type { Database } from '../database/database.ts'
import type { Log } from '../log.ts'
import { pauseMs } from '../retry.ts'
import type { Broker } from './broker.ts'

const BATCH = 500
const BACKOFF = { firstMs: 200, maxMs: 5000 }
/** setTimeout overflows beyond 24.8 days, and a clock may be set: look at least this often. */
const MAX_SLEEP_MS = 60_000

/** The one loop that publishes what is due. Run by worker and beat alike: rows are claimed, so any number may run. */
export interface OutboxRelay {
  /** Finishes the statement under way. */
  stop(): Promise<void>
}

/** Woken by NOTIFY when a row is added, and by the next due time; it never polls in short steps. */
export async function startOutboxRelay(database: Database, broker: Broker, log: Log): Promise<OutboxRelay> {
  let stopped = false
  let timer: NodeJS.Timeout | undefined
  let running: Promise<void> | undefined
  let again = false
  let failures = 0

  const wake = () => {
    clearTimeout(timer)
    again = true
    if (stopped) return
    running ??= run().finally(() => {
      running = undefined
    })
  }

  const sleepFor = (ms: number) => {
    clearTimeout(timer)
    if (!stopped) timer = setTimeout(wake, Math.min(MAX_SLEEP_MS, Math.max(1, ms)))
  }

  const run = async () => {
    while (again && !stopped) {
      again = false
      try {
        const { moved, nextDueMs } = await broker.relayDue(BATCH)
        if (failures > 0) log.info({ moved }, 'outbox is published again')
        failures = 0
        if (moved === BATCH) again = true
        else sleepFor(nextDueMs ?? MAX_SLEEP_MS)
      } catch (err) {
        if (failures === 0)
          log.warn({ reason: (err as Error).message }, 'outbox cannot be published now, trying again until it can')
        sleepFor(pauseMs(failures++, BACKOFF))
      }
    }
  }

  const subscription = await database.listener.listen(database.channel('outbox'), wake, wake)
  wake()
  return {
    async stop() {
      stopped = true
      clearTimeout(timer)
      await subscription.stop()
      await running
    },
  }
}
