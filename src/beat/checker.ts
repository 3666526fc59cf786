import { type BeatRow, type BeatSchedules, type Correction, TZDATA } from '../database/beat-schedules.ts'
import type { Log } from '../log.ts'
import { inHalves } from './in-halves.ts'
import { createEvaluator } from './tick.ts'

const PAGE = 500
const EVERY_MS = 3_600_000
const HISTORY_DAYS = 30
const HISTORY_RUNS = 10_000
const PRUNE_BATCH = 5000
/** Schedules whose history is cut in one statement: each scans HISTORY_RUNS entries of an index. */
const PRUNE_SCHEDULES = 10
/** Statements of two connections may see times that differ by a little; a clock that was set differs by more. */
const SET_BACK_MS = 1000
const BEFORE_ALL = '00000000-0000-0000-0000-000000000000'

/** Looks after what no tick shows: rows that wait for the wrong moment, and history that nobody asks for any more. */
export interface Checker {
  /** Does one page when a check is due or under way. @returns whether there is more */
  some(): Promise<boolean>
  /** Tells the database's time; a check begins at once when it went back. */
  notice(dbNow: Date): void
}

/**
 * At start, every hour and after the database's clock was set back: a row that waits beyond its first tick after now is brought back
 * (without it, an hour's schedule claimed while the clock was a year ahead would rest for a year); ticks of older time zone data
 * are computed anew. The unique key of the history keeps ticks that ran already from running again.
 */
export function createChecker(schedules: BeatSchedules, log: Log): Checker {
  let stage: 'idle' | 'rows' | 'old' | 'crowded' = 'rows'
  let after = BEFORE_ALL
  let nextAt = performance.now() + EVERY_MS
  let seen = 0

  const checkPage = async () => {
    const rows = await schedules.futureRows(after, PAGE)
    const evaluator = createEvaluator()
    const corrections = rows.map((row) => evaluator.correct(row, TZDATA)).filter((found) => found !== undefined)
    const corrected = new Set(await inHalves(corrections, schedules.correct, async () => {}))
    for (const one of corrections) if (corrected.has(one.id)) say(one, rows.find(({ id }) => id === one.id)!, log)
    after = rows.at(-1)?.id ?? after
    if (rows.length < PAGE) stage = 'old'
  }

  const pruneOld = async () => {
    const deleted = await schedules.prune(HISTORY_DAYS, PRUNE_BATCH)
    if (deleted > 0) log.info({ deleted, days: HISTORY_DAYS }, 'old run history deleted')
    if (deleted === PRUNE_BATCH) return
    stage = 'crowded'
    after = BEFORE_ALL
  }

  const pruneCrowded = async () => {
    const { deleted, schedules: cut, last } = await schedules.pruneCrowded(after, PRUNE_SCHEDULES, HISTORY_RUNS)
    if (deleted > 0) log.debug({ deleted, keep: HISTORY_RUNS }, 'long run history cut')
    if (cut < PRUNE_SCHEDULES) stage = 'idle'
    after = last
  }

  const begin = () => {
    stage = 'rows'
    after = BEFORE_ALL
    nextAt = performance.now() + EVERY_MS
  }

  return {
    async some() {
      if (stage === 'idle' && performance.now() >= nextAt) begin()
      if (stage === 'rows') await checkPage()
      else if (stage === 'old') await pruneOld()
      else if (stage === 'crowded') await pruneCrowded()
      return stage !== 'idle'
    },
    notice(dbNow) {
      if (dbNow.getTime() < seen - SET_BACK_MS) {
        log.warn({ from: new Date(seen), to: dbNow }, 'clock of the database was set back, schedules are checked')
        begin()
      }
      seen = dbNow.getTime()
    },
  }
}

const say = ({ next }: Correction, { name, task, next_run_at: from }: BeatRow, log: Log) =>
  log.warn({ schedule: name, task, from, to: next }, 'schedule waited for the wrong time, corrected')
