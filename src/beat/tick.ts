import type { BeatRow, Claim, ClaimedRun, Correction, Moment, Planned } from '../database/beat-schedules.ts'
import { toError } from '../errors.ts'
import { fromColumns } from '../schedule/columns.ts'
import { type Decision, decide, planNext, type QueuedTick, type SchedulePolicy, type SkippedTick } from '../schedule/decide.ts'
import type { Schedule } from '../schedule/schedule.ts'
import { ScheduleError } from '../schedule/schedule-error.ts'
import { tickTaskId } from '../schedule/tick-id.ts'

/** From rows of the table to what beat does with them: pure, so that a year of ticks is a table test. */

/** One claim makes no more runs than this, however large `catchup_limit` is; the next one continues. */
const MAX_RUNS = 100
const MAX_INTEGER = 2 ** 31 - 1

/**
 * Rows often share a definition: ten thousand schedules of every full hour are evaluated once (0.2 ms each otherwise).
 * One evaluator serves one batch, whose rows were read at one moment, and is thrown away.
 */
export interface Evaluator {
  /** The first tick of a new or changed schedule. One that cannot be evaluated rests with its reason. */
  plan(row: BeatRow): Planned
  /** What is claimed for a due schedule. @throws ScheduleError when the row holds none that is valid */
  claim(row: BeatRow): Claim
  /** What a waiting row should wait for instead; undefined when it waits for the right tick, or cannot be evaluated. */
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
        return undefined // It is parked when its tick comes, or an older host does not know its zone.
      }
    },
  }
}

const keyOf = (values: readonly unknown[]): string =>
  values.map((value) => (value instanceof Date ? value.getTime() : String(value))).join('\u0000')

/** The columns that make the schedule, as one text. */
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

/** @throws ScheduleError for 'infinity' and for what JavaScript's Date cannot hold (after the year 275760) */
function instant(field: string, value: Moment): Date {
  if (value instanceof Date && !Number.isNaN(value.getTime())) return value
  throw new ScheduleError(`${field} is not a moment that can be reached.`, { field })
}

function toClaim(row: BeatRow, { queue, skipped, next, finished }: Decision): Claim {
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

/** The message says which tick it is; it expires counted from the tick, so that a stale one dies instead of coming in a crowd. */
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
 * A row never waits beyond the first tick after now; when it does, the database's clock was set back after the row was claimed or planned.
 * The tick may also be one of older time zone data; those of newer data are never touched (reference/beat.md §2.7).
 */
function correction(row: BeatRow, expected: Date | null, tzdata: string): Correction | undefined {
  const waitsFor = Number(row.next_run_at)
  if (expected === null || row.next_run_at === null || expected.getTime() === waitsFor) return undefined
  const isOfOlderZones = row.kind === 'crontab' && row.timezone !== 'UTC' && (row.tzdata ?? '') < tzdata
  if (expected.getTime() > waitsFor && !isOfOlderZones) return undefined
  if ((row.tzdata ?? '') > tzdata && row.kind === 'crontab' && row.timezone !== 'UTC') return undefined
  return { id: row.id, old: row.old, version: row.version, next: expected }
}
