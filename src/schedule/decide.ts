/**
 * Decides which ticks of one due row are queued. Pure: depends only on the row and the database's clock. The caller claims the
 * row and stores the decision in one statement, so a beat that loses the race changes nothing.
 */
import { countTicks, lastTick, nextTick, type Schedule } from './schedule.ts'
import { tickTaskId } from './tick-id.ts'

export type CatchUp = 'skip' | 'one' | 'all'

export type SchedulePolicy = {
  id: string
  schedule: Schedule
  /** No tick is earlier than this time. */
  startTime: Date | null
  /** Every tick is earlier than this time. */
  expires: Date | null
  /** True if the schedule is finished after one run. A skipped tick is not a run. */
  oneOff: boolean
  catchup: CatchUp
  /** Maximum number of ticks that one claim queues under `all`. The next claim continues. */
  catchupLimit: number
  /** Milliseconds. A tick that is later than this is not queued; null means no limit. */
  misfireGraceMs: number | null
}

export type DueRow = SchedulePolicy & { nextRunAt: Date }

export type QueuedTick = {
  tick: Date
  taskId: string
  /** `catchup` if this tick, or a tick that it replaces, was missed. */
  reason: 'tick' | 'catchup'
  /** Number of earlier missed ticks that this tick replaces. */
  coalesced: number
}
export type SkippedTick = { tick: Date; outcome: 'skipped_catchup' | 'skipped_misfire'; coalesced: number }

/**
 * `next` is null if and only if `finished` is true. Under `all`, `next` can be in the past: the row is then due again at once.
 */
export type Decision = { queue: QueuedTick[]; skipped: SkippedTick[]; next: Date | null; finished: boolean }

/**
 * A tick that is late by less than this counts as on time, because the loop itself can pause this long. Another tick within this
 * time does not replace it: otherwise a pause of 1.1 s would cost a schedule that runs every second one run under `one` and two
 * under `skip`.
 */
const PUNCTUAL_MS = 5_000
/** Milliseconds. Under `skip`, a single missed tick still runs if it is late by less than this. */
const LATE_MS = 60_000

const atLeast = (a: Date, b: Date | null): Date => (b !== null && b > a ? b : a)
const before = (at: Date): Date => new Date(at.getTime() - 1)

const nextWithin = ({ schedule, startTime, expires }: SchedulePolicy, after: Date): Date | null => {
  const tick = nextTick(schedule, atLeast(after, startTime && before(startTime)))
  return tick !== null && (expires === null || tick < expires) ? tick : null
}

/**
 * Returns the first tick of a row that is new, changed or enabled again; null if the row is finished. The tick is never in the
 * past, except for a clocked row: its only tick stays due, within the misfire grace.
 * @throws ScheduleError if the row's schedule is not valid
 */
export const planNext = (policy: SchedulePolicy, now: Date): Date | null =>
  nextWithin(policy, policy.schedule.kind === 'clocked' ? before(policy.schedule.at) : now)

type Missed = { row: DueRow; now: Date; first: Date; newest: Date; reason: QueuedTick['reason'] }

const others = ({ row, first }: Missed, tick: Date): number => Math.max(0, countTicks(row.schedule, first, tick) - 1)

const queued = (row: DueRow, tick: Date, reason: QueuedTick['reason'], coalesced: number): QueuedTick => ({
  tick,
  taskId: tickTaskId(row.id, tick),
  reason,
  coalesced,
})

const isMisfire = ({ row, now }: Missed, tick: Date): boolean =>
  row.misfireGraceMs !== null && now.getTime() - tick.getTime() > row.misfireGraceMs

type PolicyResult = { queue: QueuedTick[]; skipped: SkippedTick[]; handled: Date }

/** Keeps only the newest missed tick, which replaces all earlier ticks. */
const newestOnly = (missed: Missed, outcome: 'queue' | SkippedTick['outcome']): PolicyResult => {
  const { row, newest, reason } = missed
  const coalesced = others(missed, newest)
  if (outcome === 'queue') return { queue: [queued(row, newest, reason, coalesced)], skipped: [], handled: newest }
  return { queue: [], skipped: [{ tick: newest, outcome, coalesced }], handled: newest }
}

/** Queues each of the oldest ticks within the grace. All older ticks become one row of history, not a million rows. */
const eachTick = (missed: Missed): PolicyResult => {
  const { row, now, first, newest, reason } = missed
  const skipped: SkippedTick[] = []
  let tick: Date | null = first
  if (isMisfire(missed, first)) {
    const graceStart = new Date(now.getTime() - row.misfireGraceMs!)
    const tooLate = atLeast(first, lastTick(row.schedule, before(graceStart)))
    skipped.push({ tick: tooLate, outcome: 'skipped_misfire', coalesced: others(missed, tooLate) })
    tick = nextTick(row.schedule, tooLate)
  }
  const queue: QueuedTick[] = []
  const limit = row.oneOff ? 1 : Math.max(1, row.catchupLimit)
  for (; tick !== null && tick <= newest && queue.length < limit; tick = nextTick(row.schedule, tick)) {
    queue.push(queued(row, tick, reason, 0))
  }
  return { queue, skipped, handled: queue.at(-1)?.tick ?? newest }
}

const applyPolicy = (missed: Missed): PolicyResult => {
  const { row, now, first, newest } = missed
  const lateMs = now.getTime() - first.getTime()
  if (lateMs < PUNCTUAL_MS || row.catchup === 'all') return eachTick(missed)
  if (isMisfire(missed, newest)) return newestOnly(missed, 'skipped_misfire')
  const isOneLittleLate = first.getTime() === newest.getTime() && lateMs < LATE_MS
  return newestOnly(missed, row.catchup === 'one' || isOneLittleLate ? 'queue' : 'skipped_catchup')
}

/**
 * Decides which ticks of a row to queue, which to record as skipped, and which tick is next, at the database's time `now`.
 *
 * | catchup | ticks that are late by `PUNCTUAL_MS` or more |
 * | `one`   | the newest is queued and replaces the others |
 * | `skip`  | none is queued, except a single tick that is less than a minute late; the newest is recorded |
 * | `all`   | each is queued, oldest first, `catchupLimit` per claim |
 *
 * @throws ScheduleError if the row's schedule is not valid: a person wrote it with SQL, or this host does not have the zone
 */
export const decide = (row: DueRow, now: Date): Decision => {
  const first = row.nextRunAt
  if (first > now) return { queue: [], skipped: [], next: first, finished: false }
  if (row.expires !== null && first >= row.expires) return { queue: [], skipped: [], next: null, finished: true }
  const end = row.expires !== null && row.expires <= now ? before(row.expires) : now
  // The stored tick counts even if this host's time zone data does not give it, because the row decides.
  const newest = atLeast(first, lastTick(row.schedule, end))
  const lateMs = now.getTime() - first.getTime()
  const isOnTime = lateMs < PUNCTUAL_MS || (first.getTime() === newest.getTime() && lateMs < LATE_MS)
  const { queue, skipped, handled } = applyPolicy({ row, now, first, newest, reason: isOnTime ? 'tick' : 'catchup' })
  const next = row.oneOff && queue.length > 0 ? null : nextWithin(row, handled)
  return { queue, skipped, next, finished: next === null }
}
