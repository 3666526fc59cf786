/**
 * What a beat does with one due row: pure, from the row and the database's clock. The caller claims the row in one statement with the
 * result, so whoever loses the race has changed nothing.
 */
import { countTicks, lastTick, nextTick, type Schedule } from './schedule.ts'
import { tickTaskId } from './tick-id.ts'

export type CatchUp = 'skip' | 'one' | 'all'

export type SchedulePolicy = {
  id: string
  schedule: Schedule
  /** Inclusive: no tick before it. */
  startTime: Date | null
  /** Exclusive: no tick at or after it. */
  expires: Date | null
  /** One run, then finished. A tick that was skipped is not a run. */
  oneOff: boolean
  catchup: CatchUp
  /** The most ticks that one claim queues under `all`; the next claim continues. */
  catchupLimit: number
  /** A tick that is later than this is not queued; null: any lateness is fine. */
  misfireGraceMs: number | null
}

export type DueRow = SchedulePolicy & { nextRunAt: Date }

export type QueuedTick = {
  tick: Date
  taskId: string
  /** `catchup` if the tick, or one that it stands for, was missed. */
  reason: 'tick' | 'catchup'
  /** Earlier missed ticks that this one stands for. */
  coalesced: number
}
export type SkippedTick = { tick: Date; outcome: 'skipped_catchup' | 'skipped_misfire'; coalesced: number }

/** `next` is null exactly if `finished`. It may be in the past under `all`: the row is then due again at once. */
export type Decision = { queue: QueuedTick[]; skipped: SkippedTick[]; next: Date | null; finished: boolean }

/**
 * Up to here a late tick is the loop's own latency (its longest sleep), not an outage, and nothing is coalesced: otherwise a pause of
 * 1.1 s would cost a schedule of every second a run under `one`, and all of them under `skip`.
 */
export const PUNCTUAL_MS = 5_000
/** A single missed tick that is not later than this is still run under `skip`. */
const LATE_MS = 60_000

const atLeast = (a: Date, b: Date | null): Date => (b !== null && b > a ? b : a)
const before = (at: Date): Date => new Date(at.getTime() - 1)

const nextWithin = ({ schedule, startTime, expires }: SchedulePolicy, after: Date): Date | null => {
  const tick = nextTick(schedule, atLeast(after, startTime && before(startTime)))
  return tick !== null && (expires === null || tick < expires) ? tick : null
}

/**
 * The first tick of a row that is new, changed or enabled again: never one of the past. A clocked row is the exception: its only tick
 * stays due when it is past, subject to the misfire grace. Null: the row is finished.
 * @throws ScheduleError if the row's schedule is not valid.
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

type Outcome = { queue: QueuedTick[]; skipped: SkippedTick[]; handled: Date }

/** The newest missed tick stands for all of them. */
const newestOnly = (missed: Missed, outcome: 'queue' | SkippedTick['outcome']): Outcome => {
  const { row, newest, reason } = missed
  const coalesced = others(missed, newest)
  if (outcome === 'queue') return { queue: [queued(row, newest, reason, coalesced)], skipped: [], handled: newest }
  return { queue: [], skipped: [{ tick: newest, outcome, coalesced }], handled: newest }
}

/** The oldest ticks that are within the grace, each by itself. Older ones leave one line of history, not a million. */
const eachTick = (missed: Missed): Outcome => {
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

const applyPolicy = (missed: Missed): Outcome => {
  const { row, now, first, newest } = missed
  const lateMs = now.getTime() - first.getTime()
  if (lateMs < PUNCTUAL_MS || row.catchup === 'all') return eachTick(missed)
  if (isMisfire(missed, newest)) return newestOnly(missed, 'skipped_misfire')
  const isOneLittleLate = first.getTime() === newest.getTime() && lateMs < LATE_MS
  return newestOnly(missed, row.catchup === 'one' || isOneLittleLate ? 'queue' : 'skipped_catchup')
}

/**
 * Which ticks of a row to queue and which to record as skipped, at the database's time `now`; the next tick; whether it is finished.
 *
 * | catchup | ticks missed for longer than `PUNCTUAL_MS` |
 * | `one`   | the newest is queued and stands for the others |
 * | `skip`  | none is queued, unless it is a single one and not a minute late; the newest is recorded |
 * | `all`   | each is queued, oldest first, `catchupLimit` at a time |
 *
 * @throws ScheduleError if the row's schedule is not valid (written by hand, or a zone that this host does not know).
 */
export const decide = (row: DueRow, now: Date): Decision => {
  const first = row.nextRunAt
  if (first > now) return { queue: [], skipped: [], next: first, finished: false }
  if (row.expires !== null && first >= row.expires) return { queue: [], skipped: [], next: null, finished: true }
  const end = row.expires !== null && row.expires <= now ? before(row.expires) : now
  // The stored tick counts even where this host's time zone data would not give it: the row is the single truth.
  const newest = atLeast(first, lastTick(row.schedule, end))
  const lateMs = now.getTime() - first.getTime()
  const isOnTime = lateMs < PUNCTUAL_MS || (first.getTime() === newest.getTime() && lateMs < LATE_MS)
  const { queue, skipped, handled } = applyPolicy({ row, now, first, newest, reason: isOnTime ? 'tick' : 'catchup' })
  const next = row.oneOff && queue.length > 0 ? null : nextWithin(row, handled)
  return { queue, skipped, next, finished: next === null }
}
