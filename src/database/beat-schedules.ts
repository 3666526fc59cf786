import { DEFAULT_QUEUE } from '../message/message.ts'
import type { ScheduleRow } from '../schedule/columns.ts'
import type { CatchUp } from '../schedule/decide.ts'
import type { Database } from './database.ts'
import { sql } from './sql.ts'

/** A moment as pg gives it: 'infinity', which a hand may have written, is a number. */
export type Moment = Date | number

/** A row of `schedule`, as beat needs it. What is only copied into the message (arguments, headers, queue) never leaves the database. */
export type BeatRow = ScheduleRow & {
  readonly id: string
  readonly name: string
  readonly task: string
  readonly one_off: boolean
  readonly start_time: Moment | null
  readonly expires: Moment | null
  readonly expire_seconds: number | null
  readonly catchup: CatchUp
  readonly catchup_limit: number
  readonly misfire_grace_seconds: number | null
  readonly next_run_at: Moment | null
  /** `next_run_at` with its microseconds, for the compare-and-swap. */
  readonly old: string | null
  /** Version of the time zone data that computed `next_run_at`. */
  readonly tzdata: string | null
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
  /** Earlier ticks that this one stands for. */
  readonly missed: number
  /** Headers of the message beside those of the schedule. */
  readonly headers: Readonly<Record<string, unknown>>
}

export interface Claim {
  readonly id: string
  readonly old: string | null
  readonly version: string
  readonly next: Date | null
  readonly last: Date | null
  readonly last_task: string | null
  readonly finished: boolean
  readonly runs: readonly ClaimedRun[]
}

export interface Correction {
  readonly id: string
  readonly old: string | null
  readonly version: string
  readonly next: Date
}

export interface Seed {
  readonly name: string
  readonly description: string
  readonly task: string
  readonly every: number
  readonly period: 'hours' | 'minutes'
  readonly catchup: CatchUp
}

export interface NextTick {
  readonly db_now: Date
  /** A tick has come that the pass did not take. */
  readonly overdue: boolean
  /** Milliseconds until the next tick; null: none within the hour. */
  readonly wait_ms: number | null
}

/** Version of the time zone data in this process; another host may have another (reference/beat.md §2.7). */
export const TZDATA = process.versions.tz ?? ''

export type BeatSchedules = ReturnType<typeof createBeatSchedules>

/** What beat does with the table of schedules: each method is one statement, and none waits for a row that somebody else holds. */
export function createBeatSchedules(database: Database) {
  const ids = async (name: string, values: readonly unknown[]) =>
    (await database.query<{ id: string }>(sql(name), values)).map(({ id }) => id)
  return {
    /** Rows without a next tick, those in `except` passed over. */
    rowsToPlan: (limit: number, except: readonly string[]) => database.query<BeatRow>(sql('beat-plan-rows'), [limit, except]),
    /** Rows whose tick has come, the oldest first, those in `except` passed over. */
    dueRows: (limit: number, except: readonly string[]) => database.query<BeatRow>(sql('beat-due-rows'), [limit, except]),
    /** One page of the rows that wait, by id. */
    futureRows: (after: string, limit: number) => database.query<BeatRow>(sql('beat-future-rows'), [after, limit]),
    /** @returns the ids that were planned; the others changed meanwhile or somebody holds them */
    plan: (planned: readonly Planned[]) => ids('beat-plan', [JSON.stringify(planned), TZDATA]),
    /** @returns the ids that were claimed; the others changed meanwhile or somebody holds them */
    async claim(claims: readonly Claim[], host: string): Promise<string[]> {
      const values = [JSON.stringify(claims), host, TZDATA, database.channel('outbox'), DEFAULT_QUEUE]
      const [row] = await database.query<{ claimed: string[] }>(sql('beat-claim'), values)
      return row?.claimed ?? []
    },
    /** @returns the id, or nothing when somebody holds the row */
    park: ({ id, version }: Pick<BeatRow, 'id' | 'version'>, reason: string) => ids('beat-park', [id, version, reason, TZDATA]),
    /** Lets rows that rest because of an error be planned once more. */
    async unpark(): Promise<void> {
      await database.query(sql('beat-unpark'))
    },
    correct: (corrections: readonly Correction[]) => ids('beat-correct', [JSON.stringify(corrections), TZDATA]),
    async next(): Promise<NextTick> {
      const [row] = await database.query<NextTick & Record<string, unknown>>(sql('beat-next'))
      return row!
    },
    /** @returns how many rows of history were deleted, at most `limit` */
    async prune(days: number, limit: number): Promise<number> {
      const [row] = await database.query<{ deleted: number }>(sql('beat-prune'), [days, limit])
      return row?.deleted ?? 0
    },
    /** Of schedules with more than `keep` runs, one page by id: only the newest stay. */
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
    /** Sends a notification to whoever listens for changed schedules, this process among them. */
    async notifyOneself(): Promise<void> {
      await database.query(sql('beat-hear'), [database.channel('schedule')])
    },
    async seed(seeds: readonly Seed[]): Promise<void> {
      await database.query(sql('beat-seed'), [JSON.stringify(seeds)])
    },
  }
}
