import { pauseMs } from '../concurrency/retry.ts'
import type { BeatSchedules } from '../database/beat-schedules.ts'
import type { Database } from '../database/database.ts'
import { startWokenLoop } from '../database/woken-loop.ts'
import type { Log } from '../log.ts'
import { createChecker } from './checker.ts'
import { createClaimer } from './claimer.ts'
import { createPlanner } from './planner.ts'

/**
 * Longest sleep. The database's clock can be set back, and NOTIFY does not pass every pooler. An idle pass costs three index probes.
 */
const MAX_SLEEP_MS = 5000
/** Pauses while rows are locked. Another beat unlocks them in milliseconds; an open transaction in psql can take long. */
const LOCKED_PAUSE = { firstMs: 20, maxMs: 1000 }
/** A notification that takes longer than this is considered lost. */
const NOTIFY_TIMEOUT_MS = 2000

export interface Beat {
  /** Finishes the current statement and claims no more ticks. */
  stop(): Promise<void>
}

/**
 * Queues the tasks of due schedules. One statement claims due rows, writes their history and queues their messages. There is no leader
 * and no state in memory, so any number of beats can run and each can be killed at any moment. Only the database's clock counts.
 * The next tick and NOTIFY of a changed schedule wake the loop. Never rejects: retries while the database does not answer.
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
 * Checks that NOTIFY arrives: after each connect it notifies the own channel. A pooler in transaction mode drops LISTEN (PgBouncer,
 * "SQL feature map"). The warning is logged once.
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
  /** The notification can arrive before the statement that sent it resolves. */
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
      schedules.notifySelf().then(startTimer, settle) // The loop logs a lost connection itself.
    },
  }
}
