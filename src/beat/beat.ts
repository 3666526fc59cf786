import type { BeatRow, BeatSchedules, Claim } from '../database/beat-schedules.ts'
import type { Database } from '../database/database.ts'
import type { Log } from '../log.ts'
import { pauseMs } from '../retry.ts'
import { claimRow, planRow } from './tick.ts'

const PLAN_BATCH = 200
const DUE_BATCH = 500
const BACKOFF = { firstMs: 200, maxMs: 5000 }
/** The database's clock may be set, and setTimeout overflows at 24.8 days: look at least this often. */
const MAX_SLEEP_MS = 30_000

export interface Beat {
  /** Finishes the transaction under way and takes no more ticks. */
  stop(): Promise<void>
}

/**
 * Time → messages. No leader, no state in memory: due rows are claimed in one statement with their history and their messages, so any
 * number of beats may run and any of them may be killed at any moment. Woken by the next tick and by NOTIFY when a schedule changes.
 */
export async function startBeat(
  database: Database,
  schedules: BeatSchedules,
  options: { log: Log; host: string },
): Promise<Beat> {
  const { log, host } = options
  let stopped = false
  let timer: NodeJS.Timeout | undefined
  let running: Promise<void> | undefined
  let again = false
  let failures = 0

  const wake = () => {
    clearTimeout(timer)
    again = true
    if (stopped) return
    running ??= run().finally(() => {
      running = undefined
    })
  }

  const sleepFor = (ms: number) => {
    clearTimeout(timer)
    if (!stopped) timer = setTimeout(wake, Math.min(MAX_SLEEP_MS, Math.max(1, ms)))
  }

  const run = async () => {
    while (again && !stopped) {
      again = false
      try {
        await planAll()
        await claimAll()
        const waitMs = await schedules.nextWaitMs()
        if (failures > 0) log.info('schedules are read again')
        failures = 0
        if (!again) sleepFor(waitMs ?? MAX_SLEEP_MS)
      } catch (err) {
        if (failures === 0)
          log.warn({ reason: (err as Error).message }, 'schedules cannot be read now, trying again until they can')
        sleepFor(pauseMs(failures++, BACKOFF))
      }
    }
  }

  const planAll = async () => {
    for (
      let rows = await schedules.rowsToPlan(PLAN_BATCH);
      rows.length > 0 && !stopped;
      rows = await schedules.rowsToPlan(PLAN_BATCH)
    ) {
      const planned = rows.map(planRow)
      await schedules.plan(planned)
      for (const [index, { next, error }] of planned.entries()) {
        const { name, task } = rows[index]!
        if (error === null) log.info({ schedule: name, task, next }, 'schedule planned')
        else log.error({ schedule: name, task, reason: error }, 'schedule cannot be evaluated, it rests until it is changed')
      }
    }
  }

  const claimAll = async () => {
    for (let more = true; more && !stopped; ) {
      const rows = await schedules.dueRows(DUE_BATCH)
      const claims = await decideAll(rows)
      const { claimed } = claims.length === 0 ? { claimed: 0 } : await schedules.claim(claims, host)
      // Nothing claimed although rows were due: another beat has them, and its commit is on the way.
      more = rows.length === DUE_BATCH && claimed > 0
      for (const claim of claims) say(claim, rows)
    }
  }

  const decideAll = async (rows: readonly BeatRow[]): Promise<Claim[]> => {
    const claims: Claim[] = []
    for (const row of rows) {
      try {
        claims.push(claimRow(row))
      } catch (error) {
        await schedules.park(row, (error as Error).message)
        log.error(
          { schedule: row.name, task: row.task, reason: (error as Error).message },
          'schedule cannot be evaluated, it rests until it is changed',
        )
      }
    }
    return claims
  }

  const say = ({ id, runs }: Claim, rows: readonly BeatRow[]) => {
    const row = rows.find((candidate) => candidate.id === id)
    for (const { outcome, task_id, tick, missed } of runs) {
      const fields = { schedule: row?.name, task: row?.task, tick, ...(missed > 0 && { missed }) }
      if (outcome === 'queued') log.debug({ ...fields, id: task_id }, 'tick claimed')
      else log.warn({ ...fields, outcome }, 'tick too late, not queued')
    }
  }

  await schedules.replanOldZones()
  const subscription = await database.listener.listen(database.channel('schedule'), wake, wake)
  wake()
  return {
    async stop() {
      stopped = true
      clearTimeout(timer)
      await subscription.stop()
      await running
    },
  }
}
