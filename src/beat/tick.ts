import type { BeatRow, ClaimedRun, Correction, PgTimestamp, PlannedSchedule, TickClaim } from '../database/beat-schedules.ts'
import { toError } from '../errors.ts'
import { fromColumns } from '../schedule/columns.ts'
import { type Decision, decide, planNext, type QueuedTick, type SchedulePolicy, type SkippedTick } from '../schedule/decide.ts'
import type { Schedule } from '../schedule/schedule.ts'
import { ScheduleError } from '../schedule/schedule-error.ts'
import { tickTaskId } from '../schedule/tick-id.ts'

/** Evaluates rows of `schedule`. Pure, so that tests replay a year of ticks without a database. */

/** Maximum number of runs in one claim. If `catchup_limit` is larger, the next claim continues. */
const MAX_RUNS = 100
const MAX_INTEGER = 2 ** 31 - 1

/**
 * Evaluates the rows of one batch, which were read at the same time. Evaluates rows with the same definition once: otherwise
 * each of ten thousand hourly schedules would cost 0.2 ms.
 */
interface Evaluator {
  /**
   * Returns the first tick of a new or changed schedule. A schedule that cannot be evaluated becomes finished, with the error.
   */
  plan(row: BeatRow): PlannedSchedule
  /** Returns the claim of a due schedule. @throws ScheduleError if the row holds no valid schedule */
  claim(row: BeatRow): TickClaim
  /**
   * Returns the correction of a row that waits for the wrong tick; undefined if the tick is right or the row cannot be
   * evaluated.
   */
  correct(row: BeatRow, tzdata: string): Correction | undefined
}

export function createEvaluator(): Evaluator {
  const schedules = new Map<string, Schedule>()
  const firsts = new Map<string, Date | null>()
  const decisions = new Map<string, Decision>()

  const scheduleOf = (row: BeatRow) => memo(schedules, definitionKey(row), () => fromColumns(row))
  const firstTick = (row: BeatRow) => memo(firsts, firstKey(row), () => planNext(policyOf(row, scheduleOf(row)), row.db_now))

  return {
    plan(row) {
      const { id, version } = row
      try {
        const next = firstTick(row)
        return { id, version, next, finished: next === null, error: null }
      } catch (error) {
        return { id, version, next: null, finished: true, error: toError(error).message }
      }
    },
    claim(row) {
      const nextRunAt = instant('next_run_at', row.next_run_at ?? row.db_now)
      const decision = memo(decisions, decisionKey(row), () =>
        decide({ ...policyOf(row, scheduleOf(row)), nextRunAt }, row.db_now),
      )
      return toClaim(row, decision)
    },
    correct(row, tzdata) {
      try {
        return correction(row, firstTick(row), tzdata)
      } catch {
        return undefined // when the row is due, its claim suspends it, or a newer host handles it
      }
    },
  }
}

const keyOf = (values: readonly unknown[]): string =>
  values.map((value) => (value instanceof Date ? value.getTime() : String(value))).join('\u0000')

/** Returns the columns that define the schedule, as one text. */
const definitionKey = (row: BeatRow): string =>
  keyOf([
    ...[row.kind, row.minute, row.hour, row.day_of_week, row.day_of_month, row.month_of_year, row.day_rule, row.timezone],
    ...[row.every, row.period, row.anchor, row.clocked_time],
  ])

const firstKey = (row: BeatRow): string => keyOf([definitionKey(row), row.start_time, row.expires, row.db_now])

const decisionKey = (row: BeatRow): string =>
  keyOf([...[firstKey(row), row.one_off, row.catchup, row.catchup_limit], ...[row.misfire_grace_seconds, row.next_run_at]])

function memo<T>(known: Map<string, T>, key: string, make: () => T): T {
  const found = known.get(key)
  if (found !== undefined || known.has(key)) return found as T
  const made = make()
  known.set(key, made)
  return made
}

function policyOf(row: BeatRow, schedule: Schedule): SchedulePolicy {
  return {
    id: row.id,
    schedule,
    startTime: row.start_time === null || row.start_time === -Infinity ? null : instant('start_time', row.start_time),
    expires: row.expires === null || row.expires === Infinity ? null : instant('expires', row.expires),
    oneOff: row.one_off,
    catchup: row.catchup,
    catchupLimit: Math.min(row.catchup_limit, MAX_RUNS),
    misfireGraceMs: row.misfire_grace_seconds === null ? null : row.misfire_grace_seconds * 1000,
  }
}

/** @throws ScheduleError for 'infinity' and for dates after the year 275760, which Date cannot hold */
function instant(field: string, value: PgTimestamp): Date {
  if (value instanceof Date && !Number.isNaN(value.getTime())) return value
  throw new ScheduleError(`${field} is infinite or after the year 275760; beat needs a date.`, { field })
}

function toClaim(row: BeatRow, { queue, skipped, next, finished }: Decision): TickClaim {
  const queued = queue.map((tick) => queuedRun(row, tick))
  const { tick: last = null, task_id: last_task = null } = queued.at(-1) ?? {}
  const runs = [...skipped.map(skippedRun), ...queued]
  return { id: row.id, old: row.old, version: row.version, next, last, last_task, finished, runs }
}

const skippedRun = ({ tick, outcome, coalesced }: SkippedTick): ClaimedRun => ({
  tick,
  outcome,
  reason: 'catchup',
  task_id: null,
  missed: Math.min(coalesced, MAX_INTEGER),
  headers: {},
})

/**
 * Returns a run that is queued. Its message carries the tick. `expires` counts from the tick, so that messages of a long outage
 * expire instead of running all at once.
 */
function queuedRun(row: BeatRow, { tick, reason, coalesced }: QueuedTick): ClaimedRun {
  const beat = { schedule_id: row.id, tick: tick.toISOString(), reason }
  const { expire_seconds: seconds } = row
  const expires = seconds === null ? {} : { expires: new Date(tick.getTime() + seconds * 1000).toISOString() }
  return {
    tick,
    reason,
    outcome: 'queued',
    task_id: tickTaskId(row.id, tick),
    missed: Math.min(coalesced, MAX_INTEGER),
    headers: { ...expires, beat },
  }
}

/**
 * Returns the correction if `next_run_at` is later than the first tick after now. This happens only if the database's clock was
 * set back, or if older time zone data gave the tick. Ticks of newer time zone data stay unchanged (docs/internals/schedules.md,
 * "Time zone data").
 */
function correction(row: BeatRow, expected: Date | null, tzdata: string): Correction | undefined {
  const waitsFor = Number(row.next_run_at)
  if (expected === null || row.next_run_at === null || expected.getTime() === waitsFor) return undefined
  const dependsOnZone = row.kind === 'crontab' && row.timezone !== 'UTC'
  const rowTzdata = row.tzdata ?? ''
  if (expected.getTime() > waitsFor && !(dependsOnZone && rowTzdata < tzdata)) return undefined
  if (dependsOnZone && rowTzdata > tzdata) return undefined
  return { id: row.id, old: row.old, version: row.version, next: expected }
}
