import { pauseMs } from '../concurrency/retry.ts'
import type { BeatSchedules } from '../database/beat-schedules.ts'
import type { Database } from '../database/database.ts'
import { startWokenLoop } from '../database/woken-loop.ts'
import type { Log } from '../log.ts'
import { createChecker } from './checker.ts'
import { createClaimer } from './claimer.ts'
import { createPlanner } from './planner.ts'

/** The database's clock may be set, and NOTIFY does not come through every pooler: look at least this often. An idle look is three probes of an index. */
const MAX_SLEEP_MS = 5000
/** Rows that another beat holds are done in milliseconds; those of an open transaction in psql may take their time. */
const HELD = { firstMs: 20, maxMs: 1000 }
/** A notification that takes longer than this does not come. */
const HEAR_MS = 2000

export interface Beat {
  /** Finishes the statement under way and takes no more ticks. */
  stop(): Promise<void>
}

/**
 * Time → messages. No leader, no state in memory: due rows are claimed in one statement with their history and their messages, so any
 * number of beats may run and any of them may be killed at any moment. Only the database's clock decides. Woken by the next tick and by
 * NOTIFY when a schedule changes. Never rejects: while the database is away it tries again.
 */
export async function startBeat(
  database: Database,
  schedules: BeatSchedules,
  options: { log: Log; host: string },
): Promise<Beat> {
  const { log } = options
  const planSome = createPlanner(schedules, log)
  const claimSome = createClaimer(schedules, options)
  const checker = createChecker(schedules, log)
  const hearing = createHearing(schedules, log)
  let begun = false
  let heldPasses = 0

  const pass = async (): Promise<number> => {
    if (!begun) await schedules.unpark()
    begun = true
    const planned = await planSome()
    const claimed = await claimSome()
    const checking = await checker.some()
    const { db_now, overdue, wait_ms } = await schedules.next()
    checker.notice(db_now)
    const held = claimed.held + planned.held > 0
    heldPasses = held ? heldPasses + 1 : 0
    if (planned.more || claimed.more || checking || (overdue && !held)) return 0
    return Math.min(wait_ms ?? MAX_SLEEP_MS, held ? pauseMs(heldPasses - 1, HELD) : MAX_SLEEP_MS)
  }

  const loop = startWokenLoop(database, {
    log,
    pass,
    channel: database.channel('schedule'),
    onNotify: hearing.heard,
    onListening: hearing.ask,
    maxSleepMs: MAX_SLEEP_MS,
    words: { failed: 'schedules cannot be read now, trying again until they can', restored: 'schedules are read again' },
  })
  return {
    async stop() {
      hearing.stop()
      await loop.stop()
    },
  }
}

/** Behind a pooler in transaction mode LISTEN hears nothing (PgBouncer, "SQL feature map"): asked after each connection, said once. */
function createHearing(schedules: BeatSchedules, log: Log) {
  let timer: NodeJS.Timeout | undefined
  let waiting = false
  let said = false
  const say = () => {
    if (!said)
      log.warn({ seconds: MAX_SLEEP_MS / 1000 }, 'NOTIFY does not arrive (a pooled connection?), changes are noticed late')
    said = true
  }
  /** The answer may be heard before the question is known to be sent. */
  const expect = () => {
    clearTimeout(timer)
    if (waiting) timer = setTimeout(say, HEAR_MS)
  }
  const settle = () => {
    waiting = false
    clearTimeout(timer)
  }
  return {
    heard: settle,
    stop: settle,
    ask() {
      waiting = true
      schedules.notifyOneself().then(expect, settle) // A connection that is lost again says so itself.
    },
  }
}
