import { pauseMs } from '../concurrency/retry.ts'
import type { BeatSchedules } from '../database/beat-schedules.ts'
import type { Database } from '../database/database.ts'
import { startWokenLoop } from '../database/woken-loop.ts'
import type { Log } from '../log.ts'
import { createChecker } from './checker.ts'
import { createClaimer } from './claimer.ts'
import { createPlanner } from './planner.ts'

/**
 * Longest pause in milliseconds. It is limited because the database's clock can be set back, and not every pooler passes NOTIFY
 * on. A pass without work costs three index look-ups.
 */
const MAX_SLEEP_MS = 5000
/**
 * Pauses while rows are locked. Another beat releases them within milliseconds; an open transaction in psql can hold them for
 * long.
 */
const LOCKED_PAUSE = { firstMs: 20, maxMs: 1000 }
/** Milliseconds. A notification that takes longer is considered lost. */
const NOTIFY_TIMEOUT_MS = 2000

export interface Beat {
  /** Ends the loop after the current statement. Claims no more ticks. */
  stop(): Promise<void>
}

/**
 * Queues the tasks of due schedules. One statement claims due rows, writes their history and queues their messages. Beats have
 * no leader and no state in memory, so any number can run and each can be killed at any moment. Only the database's clock
 * counts. The next tick, and a NOTIFY of a changed schedule, end the pause. Never rejects: retries while the database does not
 * answer.
 */
export async function startBeat(
  database: Database,
  schedules: BeatSchedules,
  options: { log: Log; host: string },
): Promise<Beat> {
  const { log } = options
  const planBatch = createPlanner(schedules, log)
  const claimBatch = createClaimer(schedules, options)
  const checker = createChecker(schedules, log)
  const notifyCheck = createNotifyCheck(schedules, log)
  let started = false
  let lockedPasses = 0

  const pass = async (): Promise<number> => {
    if (!started) await schedules.resume()
    started = true
    const planned = await planBatch()
    const claimed = await claimBatch()
    const checking = await checker.checkBatch()
    const { db_now, overdue, wait_ms } = await schedules.next()
    checker.observeClock(db_now)
    const locked = claimed.locked + planned.locked > 0
    lockedPasses = locked ? lockedPasses + 1 : 0
    if (planned.more || claimed.more || checking || (overdue && !locked)) return 0
    return Math.min(wait_ms ?? MAX_SLEEP_MS, locked ? pauseMs(lockedPasses - 1, LOCKED_PAUSE) : MAX_SLEEP_MS)
  }

  const loop = startWokenLoop(database, {
    log,
    pass,
    channel: database.channel('schedule'),
    onNotify: notifyCheck.onNotify,
    onListening: notifyCheck.send,
    maxSleepMs: MAX_SLEEP_MS,
    words: { failed: 'schedules cannot be read, retrying', restored: 'schedules can be read again' },
  })
  return {
    async stop() {
      notifyCheck.stop()
      await loop.stop()
    },
  }
}

/**
 * Checks that NOTIFY arrives: after each connection, notifies the channel that it listens on. A pooler in transaction mode drops
 * LISTEN (PgBouncer, "SQL feature map"). Logs the warning once.
 */
function createNotifyCheck(schedules: BeatSchedules, log: Log) {
  let timer: NodeJS.Timeout | undefined
  let waiting = false
  let warned = false
  const warn = () => {
    if (!warned)
      log.warn({ pollSeconds: MAX_SLEEP_MS / 1000 }, 'NOTIFY does not arrive over this connection, schedules are polled')
    warned = true
  }
  /** Does nothing if the notification has arrived already: it can arrive before the promise of its statement resolves. */
  const startTimer = () => {
    clearTimeout(timer)
    if (waiting) timer = setTimeout(warn, NOTIFY_TIMEOUT_MS)
  }
  const settle = () => {
    waiting = false
    clearTimeout(timer)
  }
  return {
    onNotify: settle,
    stop: settle,
    send() {
      waiting = true
      schedules.notifySelf().then(startTimer, settle) // A rejection means a lost connection, which the loop logs itself.
    },
  }
}
