import type { ScheduleRow } from '../schedule/columns.ts'
import type { CatchUp } from '../schedule/decide.ts'
import type { Database } from './database.ts'
import { sql } from './sql.ts'

/** A row of `schedule`, as beat needs it. */
export type BeatRow = ScheduleRow & {
  readonly id: string
  readonly name: string
  readonly task: string
  readonly args: unknown[]
  readonly kwargs: Record<string, unknown>
  readonly headers: Record<string, unknown>
  readonly one_off: boolean
  readonly start_time: Date | null
  readonly expires: Date | null
  readonly expire_seconds: number | null
  readonly catchup: CatchUp
  readonly catchup_limit: number
  readonly misfire_grace_seconds: number | null
  readonly next_run_at: Date | null
  /** bigint, which pg gives as text. */
  readonly version: string
  /** The database's clock, which alone decides. */
  readonly db_now: Date
}

export interface Planned {
  readonly id: string
  readonly version: string
  readonly next: Date | null
  readonly finished: boolean
  readonly error: string | null
}

export interface ClaimedRun {
  readonly tick: Date
  readonly reason: 'tick' | 'catchup'
  readonly task_id: string | null
  readonly outcome: 'queued' | 'skipped_misfire' | 'skipped_catchup'
  readonly missed: number
  readonly headers: string | null
  readonly body: string | null
  readonly due_at: Date | null
}

export interface Claim {
  readonly id: string
  readonly old: Date
  readonly version: string
  readonly next: Date | null
  readonly last: Date | null
  readonly last_task: string | null
  readonly finished: boolean
  readonly runs: readonly ClaimedRun[]
}

export interface Seed {
  readonly name: string
  readonly description: string
  readonly task: string
  readonly every: number
  readonly period: 'hours' | 'minutes'
  readonly catchup: CatchUp
}

/** Version of the time zone data in this process; another host may have another (reference/beat.md §2.7). */
const tzdata = process.versions.tz ?? ''

export type BeatSchedules = ReturnType<typeof createBeatSchedules>

/** What beat does with the table of schedules: each method is one statement. */
export function createBeatSchedules(database: Database) {
  return {
    rowsToPlan: (limit: number) => database.query<BeatRow>(sql('beat-plan-rows'), [limit]),
    dueRows: (limit: number) => database.query<BeatRow>(sql('beat-due-rows'), [limit]),
    async plan(planned: readonly Planned[]): Promise<void> {
      await database.query(sql('beat-plan'), [JSON.stringify(planned), tzdata])
    },
    async claim(claims: readonly Claim[], host: string): Promise<{ claimed: number; queued: number }> {
      const [row] = await database.query<{ claimed: number; queued: number }>(sql('beat-claim'), [
        JSON.stringify(claims),
        host,
        tzdata,
        database.channel('outbox'),
      ])
      return row ?? { claimed: 0, queued: 0 }
    },
    async park(row: BeatRow, reason: string): Promise<void> {
      await database.query(sql('beat-park'), [row.id, row.version, reason])
    },
    async replanOldZones(): Promise<void> {
      await database.query(sql('beat-replan'), [tzdata])
    },
    /** Milliseconds until the next tick by the database's clock; null when there is none. */
    async nextWaitMs(): Promise<number | null> {
      const [row] = await database.query<{ wait_ms: number | null }>(sql('beat-next'))
      return row?.wait_ms ?? null
    },
    async seed(seeds: readonly Seed[], anchor: Date): Promise<void> {
      for (const { name, description, task, every, period, catchup } of seeds) {
        await database.query(sql('beat-seed'), [name, description, task, every, period, catchup, anchor.toISOString()])
      }
      await database.query(sql('beat-unseed'), [seeds.map(({ name }) => name)])
    },
  }
}
