import type { BeatRow, Claim, ClaimedRun, Planned } from '../database/beat-schedules.ts'
import { createMessage } from '../message/message.ts'
import { sparseJson } from '../message/sparse-json.ts'
import { fromColumns } from '../schedule/columns.ts'
import { decide, planNext, type QueuedTick, type SchedulePolicy, type SkippedTick } from '../schedule/decide.ts'

/** From a row of the table to what beat does with it: pure, so that a year of ticks is a table test. */

/** @throws AppError SCHEDULE_INVALID when the row holds no valid schedule */
function policyOf(row: BeatRow): SchedulePolicy {
  return {
    id: row.id,
    schedule: fromColumns(row),
    startTime: row.start_time,
    expires: row.expires,
    oneOff: row.one_off,
    catchup: row.catchup,
    catchupLimit: row.catchup_limit,
    misfireGraceMs: row.misfire_grace_seconds === null ? null : row.misfire_grace_seconds * 1000,
  }
}

/** The first tick of a new or changed schedule. One that cannot be evaluated rests with its reason. */
export function planRow(row: BeatRow): Planned {
  const { id, version } = row
  try {
    const next = planNext(policyOf(row), row.db_now)
    return { id, version, next, finished: next === null, error: null }
  } catch (error) {
    return { id, version, next: null, finished: true, error: (error as Error).message }
  }
}

/** What is claimed for a due schedule. @throws AppError SCHEDULE_INVALID */
export function claimRow(row: BeatRow): Claim {
  const nextRunAt = row.next_run_at ?? row.db_now
  const { queue, skipped, next, finished } = decide({ ...policyOf(row), nextRunAt }, row.db_now)
  const last = queue.at(-1)
  return {
    id: row.id,
    old: nextRunAt,
    version: row.version,
    next,
    last: last?.tick ?? null,
    last_task: last?.taskId ?? null,
    finished,
    runs: [...skipped.map(skippedRun), ...queue.map((tick) => queuedRun(row, tick))],
  }
}

const skippedRun = ({ tick, outcome, coalesced }: SkippedTick): ClaimedRun => ({
  tick,
  outcome,
  reason: 'catchup',
  task_id: null,
  missed: coalesced,
  headers: null,
  body: null,
  due_at: null,
})

/** The message says which tick it is; it expires counted from the tick, so that a stale one dies instead of coming in a crowd. */
function queuedRun(row: BeatRow, { tick, taskId, reason, coalesced }: QueuedTick): ClaimedRun {
  const beat = { schedule_id: row.id, tick: tick.toISOString(), reason }
  const message = createMessage({
    id: taskId,
    task: row.task,
    args: row.args,
    kwargs: row.kwargs,
    expires: row.expire_seconds === null ? undefined : new Date(tick.getTime() + row.expire_seconds * 1000),
    headers: { ...row.headers, periodic_task_name: row.name, beat },
  })
  const { id: _id, task: _task, ...headers } = message.headers
  return {
    tick,
    reason,
    task_id: taskId,
    outcome: 'queued',
    missed: coalesced,
    headers: sparseJson(headers),
    body: message.body,
    due_at: tick,
  }
}
