import { type BeatRow, type BeatSchedules, type Correction, TZDATA } from '../database/beat-schedules.ts'
import type { Log } from '../log.ts'
import { inHalves } from './in-halves.ts'
import { createEvaluator } from './tick.ts'

const PAGE = 500
const EVERY_MS = 3_600_000
const HISTORY_DAYS = 30
const HISTORY_RUNS = 10_000
const PRUNE_BATCH = 5000
/** Number of schedules whose history one statement shortens. Each schedule costs a scan of HISTORY_RUNS index entries. */
const PRUNE_SCHEDULES = 10
/**
 * Milliseconds. Over two connections this process can see times that differ by milliseconds. A clock that was set back differs
 * by more.
 */
const SET_BACK_MS = 1000
const BEFORE_ALL = '00000000-0000-0000-0000-000000000000'

/** Background work of beat: corrects rows that wait for the wrong tick, and deletes old history. */
interface Checker {
  /** Checks one batch if a check is due or under way. @returns whether more rows remain to be checked */
  checkBatch(): Promise<boolean>
  /** Starts a check at once if the database's time is earlier than before. */
  observeClock(dbNow: Date): void
}

/**
 * Runs a check at start, every hour, and after the database's clock was set back. If `next_run_at` of a row is later than the
 * first tick after now, moves it back: otherwise an hourly schedule that was claimed while the clock was a year ahead would wait
 * for a year. Recomputes ticks that older time zone data gave. The unique key of the history prevents a second run of the same
 * tick.
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
    for (const one of corrections) if (corrected.has(one.id)) logCorrection(one, rows.find(({ id }) => id === one.id)!, log)
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
    if (deleted > 0) log.debug({ deleted, keep: HISTORY_RUNS }, 'oldest runs of frequent schedules deleted')
    if (cut < PRUNE_SCHEDULES) stage = 'idle'
    after = last
  }

  const begin = () => {
    stage = 'rows'
    after = BEFORE_ALL
    nextAt = performance.now() + EVERY_MS
  }

  return {
    async checkBatch() {
      if (stage === 'idle' && performance.now() >= nextAt) begin()
      if (stage === 'rows') await checkPage()
      else if (stage === 'old') await pruneOld()
      else if (stage === 'crowded') await pruneCrowded()
      return stage !== 'idle'
    },
    observeClock(dbNow) {
      if (dbNow.getTime() < seen - SET_BACK_MS) {
        log.warn({ from: new Date(seen), to: dbNow }, 'clock of the database was set back, checking schedules')
        begin()
      }
      seen = dbNow.getTime()
    },
  }
}

const logCorrection = ({ next }: Correction, { name, task, next_run_at: from }: BeatRow, log: Log) =>
  log.warn({ schedule: name, task, from, to: next }, 'next run of a schedule was wrong, corrected')
