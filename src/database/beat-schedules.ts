import { DEFAULT_QUEUE } from '../message/message.ts'
import type { ScheduleRow } from '../schedule/columns.ts'
import type { CatchUp } from '../schedule/decide.ts'
import type { Database } from './database.ts'
import { sql } from './sql.ts'

/** A timestamp as pg returns it. A number is `'infinity'`, which a person can write with SQL. */
export type PgTimestamp = Date | number

/**
 * The columns of `schedule` that beat evaluates. The row's arguments, headers and queue stay in the database: the claim copies
 * them into the message.
 */
export type BeatRow = ScheduleRow & {
  readonly id: string
  readonly name: string
  readonly task: string
  readonly one_off: boolean
  readonly start_time: PgTimestamp | null
  readonly expires: PgTimestamp | null
  readonly expire_seconds: number | null
  readonly catchup: CatchUp
  readonly catchup_limit: number
  readonly misfire_grace_seconds: number | null
  readonly next_run_at: PgTimestamp | null
  /** `next_run_at` as text with microseconds, which a Date would lose; for the compare-and-swap. */
  readonly old: string | null
  /** Version of the time zone data that computed `next_run_at`. */
  readonly tzdata: string | null
  /** A bigint, which pg returns as text. */
  readonly version: string
  /** The time of the database's clock. Beat never uses a host's clock. */
  readonly db_now: Date
}

/** The first tick of a new or changed schedule. `error` is set if the schedule could not be evaluated. */
export interface PlannedSchedule {
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
  /** Number of earlier missed ticks that this run replaces. */
  readonly missed: number
  /** Headers of the message in addition to those of the schedule. */
  readonly headers: Readonly<Record<string, unknown>>
}

/** The new state of a due schedule, and the runs to record. The claim fails if the row changed after it was read. */
export interface TickClaim {
  readonly id: string
  readonly old: string | null
  readonly version: string
  readonly next: Date | null
  readonly last: Date | null
  readonly last_task: string | null
  readonly finished: boolean
  readonly runs: readonly ClaimedRun[]
}

/** A new `next_run_at` for a row that waits for the wrong tick. */
export interface Correction {
  readonly id: string
  readonly old: string | null
  readonly version: string
  readonly next: Date
}

/** A schedule that onedyno creates by itself (`origin = 'code'`). */
export interface Seed {
  readonly name: string
  readonly description: string
  readonly task: string
  readonly every: number
  readonly period: 'hours' | 'minutes'
  readonly catchup: CatchUp
}

interface NextTick {
  readonly db_now: Date
  /** True if a tick is due that this pass did not claim. */
  readonly overdue: boolean
  /** Milliseconds until the next tick; null if no tick follows within the hour. */
  readonly wait_ms: number | null
}

/**
 * Version of the time zone data in this process. It can differ from host to host (docs/internals/schedules.md, "Time zone
 * data").
 */
export const TZDATA = process.versions.tz ?? ''

export type BeatSchedules = ReturnType<typeof createBeatSchedules>

/** Returns beat's statements on `schedule`. Each method runs one statement, and no statement waits for a row lock. */
export function createBeatSchedules(database: Database) {
  const ids = async (name: string, values: readonly unknown[]) =>
    (await database.query<{ id: string }>(sql(name), values)).map(({ id }) => id)
  return {
    /** Returns rows without a next tick. Leaves out the ids in `except`. */
    rowsToPlan: (limit: number, except: readonly string[]) => database.query<BeatRow>(sql('beat-plan-rows'), [limit, except]),
    /** Returns due rows, oldest tick first. Leaves out the ids in `except`. */
    dueRows: (limit: number, except: readonly string[]) => database.query<BeatRow>(sql('beat-due-rows'), [limit, except]),
    /** Returns one page of the rows that are not due yet, ordered by id. */
    futureRows: (after: string, limit: number) => database.query<BeatRow>(sql('beat-future-rows'), [after, limit]),
    /** @returns the planned ids; a missing id means that its row changed or is locked */
    plan: (planned: readonly PlannedSchedule[]) => ids('beat-plan', [JSON.stringify(planned), TZDATA]),
    /** @returns the claimed ids; a missing id means that its row changed or is locked */
    async claim(claims: readonly TickClaim[], host: string): Promise<string[]> {
      const values = [JSON.stringify(claims), host, TZDATA, database.channel('outbox'), DEFAULT_QUEUE]
      const [row] = await database.query<{ claimed: string[] }>(sql('beat-claim'), values)
      return row?.claimed ?? []
    },
    /**
     * Suspends a row that cannot be evaluated: marks it finished and stores the error.
     * @returns the id, or nothing if the row is locked
     */
    suspend: ({ id, version }: Pick<BeatRow, 'id' | 'version'>, reason: string) =>
      ids('beat-suspend', [id, version, reason, TZDATA]),
    /** Lets beat plan suspended rows once more. */
    async resume(): Promise<void> {
      await database.query(sql('beat-resume'))
    },
    correct: (corrections: readonly Correction[]) => ids('beat-correct', [JSON.stringify(corrections), TZDATA]),
    async next(): Promise<NextTick> {
      const [row] = await database.query<NextTick & Record<string, unknown>>(sql('beat-next'))
      return row!
    },
    /** Deletes at most `limit` old runs. @returns the number of deleted runs */
    async prune(days: number, limit: number): Promise<number> {
      const [row] = await database.query<{ deleted: number }>(sql('beat-prune'), [days, limit])
      return row?.deleted ?? 0
    },
    /**
     * Deletes old runs of the schedules of one page, but keeps the newest `keep` runs of each. Returns `schedules`, the size of
     * the page, and `last`, the last id in it.
     */
    async pruneCrowded(
      after: string,
      limit: number,
      keep: number,
    ): Promise<{ deleted: number; schedules: number; last: string }> {
      const [row] = await database.query<{ deleted: number; schedules: number; last: string }>(sql('beat-prune-crowded'), [
        after,
        limit,
        keep,
      ])
      return row!
    },
    /** Notifies every listener for changed schedules, including this process. */
    async notifySelf(): Promise<void> {
      await database.query(sql('beat-notify-check'), [database.channel('schedule')])
    },
    async seed(seeds: readonly Seed[]): Promise<void> {
      await database.query(sql('beat-seed'), [JSON.stringify(seeds)])
    },
  }
}
