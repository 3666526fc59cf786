import type { BeatRow, BeatSchedules, PlannedSchedule } from '../database/beat-schedules.ts'
import type { Log } from '../log.ts'
import { inHalves } from './in-halves.ts'
import { logSuspended } from './log-suspended.ts'
import { type BatchProgress, createSweep } from './sweep.ts'
import { createEvaluator } from './tick.ts'

const BATCH = 200
/** A batch with more schedules, such as an import of thousands, is logged as one line with a count. */
const LOG_EACH = 10

/**
 * Plans the first tick of schedules that are new, changed or enabled again. Plans one batch per call, so that due ticks do not
 * wait until every new schedule is planned.
 */
export function createPlanner(schedules: BeatSchedules, log: Log): () => Promise<BatchProgress> {
  const sweep = createSweep(BATCH)

  const planEach = (planned: readonly PlannedSchedule[]) =>
    inHalves(planned, schedules.plan, async ({ id, version }, { message }) => {
      await schedules.plan([{ id, version, next: null, finished: true, error: message }])
      logSuspended(log, { schedule: id }, message)
    })

  return async () => {
    const rows = await schedules.rowsToPlan(BATCH, sweep.passedOver())
    const planned = rows.map(createEvaluator().plan)
    const done = new Set(await planEach(planned))
    logPlanned(rows, { planned, done, log })
    const notDone = rows.filter(({ id }) => !done.has(id)).map(({ id }) => id)
    return sweep.advance(rows.length, notDone)
  }
}

interface PlannedBatch {
  readonly planned: readonly PlannedSchedule[]
  /** Ids of the rows whose update succeeded. */
  readonly done: ReadonlySet<string>
  readonly log: Log
}

function logPlanned(rows: readonly BeatRow[], { planned, done, log }: PlannedBatch): void {
  for (const [index, { id, next, error }] of planned.entries()) {
    const { name, task } = rows[index]!
    if (!done.has(id)) continue
    if (error !== null) logSuspended(log, { schedule: name, task }, error)
    else if (done.size <= LOG_EACH) log.info({ schedule: name, task, next }, 'schedule planned')
  }
  if (done.size > LOG_EACH) log.info({ schedules: done.size }, 'schedules planned')
}
