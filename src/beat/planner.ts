import type { BeatRow, BeatSchedules, Planned } from '../database/beat-schedules.ts'
import type { Log } from '../log.ts'
import { inHalves } from './in-halves.ts'
import { createSweep, type Progress } from './sweep.ts'
import { createEvaluator } from './tick.ts'

const BATCH = 200
/** After an import of thousands the log says how many, not each. */
const SAY_EACH = 10

/** Gives schedules that are new, changed or enabled again their first tick, one batch a call, so that due ticks come between. */
export function createPlanner(schedules: BeatSchedules, log: Log): () => Promise<Progress> {
  const sweep = createSweep(BATCH)

  const planEach = (planned: readonly Planned[]) =>
    inHalves(planned, schedules.plan, async ({ id, version }, { message }) => {
      await schedules.plan([{ id, version, next: null, finished: true, error: message }])
      log.error({ schedule: id, reason: message }, 'schedule cannot be evaluated, it rests until it is changed')
    })

  return async () => {
    const rows = await schedules.rowsToPlan(BATCH, sweep.passedOver())
    const planned = rows.map(createEvaluator().plan)
    const done = new Set(await planEach(planned))
    say(rows, planned, done, log)
    const notDone = rows.filter(({ id }) => !done.has(id)).map(({ id }) => id)
    return sweep.advance(rows.length, notDone)
  }
}

function say(rows: readonly BeatRow[], planned: readonly Planned[], done: ReadonlySet<string>, log: Log): void {
  for (const [index, { id, next, error }] of planned.entries()) {
    const { name, task } = rows[index]!
    if (!done.has(id)) continue
    if (error !== null)
      log.error({ schedule: name, task, reason: error }, 'schedule cannot be evaluated, it rests until it is changed')
    else if (done.size <= SAY_EACH) log.info({ schedule: name, task, next }, 'schedule planned')
  }
  if (done.size > SAY_EACH) log.info({ schedules: done.size }, 'schedules planned')
}
