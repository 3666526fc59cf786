import type { QueryResultRow } from 'pg'
import { v7 as uuidv7 } from 'uuid'
import type { State } from '../app/outcome.ts'
import { AppError, toError } from '../errors.ts'
import { fromColumns, type ScheduleRow, toColumns } from '../schedule/columns.ts'
import { formatSchedule } from '../schedule/format.ts'
import type { Schedule } from '../schedule/schedule.ts'
import type { Database } from './database.ts'
import { sql } from './sql.ts'

export interface NewSchedule {
  /** A UUID. Default: a new one. */
  readonly id?: string
  /** Unique, 1 to 200 characters. Default: the task, the schedule as text, and the last eight digits of the id. */
  readonly name?: string
  readonly description?: string
  readonly task: string
  readonly args: readonly unknown[]
  readonly kwargs?: Readonly<Record<string, unknown>>
  readonly schedule: Schedule
  readonly queue?: string
  /** `code`: onedyno creates and updates the row. `db` (default): a person created it. */
  readonly origin?: 'db' | 'code'
}

export interface StoredSchedule {
  readonly id: string
  readonly name: string
  readonly description: string
  readonly task: string
  readonly args: readonly unknown[]
  readonly kwargs: Readonly<Record<string, unknown>>
  readonly queue: string | null
  readonly origin: 'db' | 'code'
  /** Undefined if the row holds no valid schedule, because a person changed it with SQL. `problem` gives the reason. */
  readonly schedule: Schedule | undefined
  readonly problem: string | undefined
  readonly enabled: boolean
  /** True if no tick follows. */
  readonly finished: boolean
  /** Null if the schedule is not planned yet, finished or disabled. */
  readonly nextRunAt: Date | null
  readonly lastRunAt: Date | null
  readonly lastTaskId: string | null
  readonly totalRunCount: number
  /** The error because of which beat could not plan or queue the schedule; null if there was none. */
  readonly lastError: string | null
  readonly changedAt: Date
}

/** One tick in the history of a schedule. `taskId` is null if the tick was not queued. */
export interface ScheduleRun {
  readonly tick: Date
  readonly reason: 'tick' | 'catchup' | 'manual'
  readonly outcome: 'queued' | 'skipped_misfire' | 'skipped_catchup'
  /** Number of earlier missed ticks that this run replaces. */
  readonly missed: number
  readonly task: string
  readonly taskId: string | null
  readonly decidedAt: Date
  /**
   * State of the task. Null if no result is stored: the task waits, ignores its result, or its result is older than RESULT_TTL.
   */
  readonly state: State | null
  readonly startedAt: Date | null
  readonly doneAt: Date | null
}

/**
 * Creates, reads and changes schedules for people. Only beat writes the state of a schedule. An id that is not a UUID matches no
 * schedule.
 */
export interface Schedules {
  /** @throws AppError SCHEDULE_DUPLICATE, VALUE_NOT_JSON @returns the id */
  create(schedule: NewSchedule): Promise<string>
  /** Returns at most `limit` schedules whose names sort after `after`, ordered by name. */
  list(options: { after?: string; limit: number }): Promise<StoredSchedule[]>
  find(id: string): Promise<StoredSchedule | undefined>
  /** @returns whether the schedule existed */
  remove(id: string): Promise<boolean>
  /** @returns whether the schedule exists */
  setEnabled(id: string, enabled: boolean): Promise<boolean>
  /** Returns at most `limit` runs with ticks before `before`, newest first. */
  runs(id: string, options: { before?: Date; limit: number }): Promise<ScheduleRun[]>
}

export function createSchedules(database: Pick<Database, 'query'>): Schedules {
  return {
    async create(given) {
      const id = given.id ?? uuidv7()
      const name = given.name ?? defaultName(given, id)
      try {
        await database.query(sql('schedule-create'), createValues({ ...given, id, name }))
      } catch (error) {
        throw translate(error, name)
      }
      return id
    },
    async list({ after = '', limit }) {
      return (await database.query<Row>(sql('schedule-list'), [after, limit])).map(toStored)
    },
    async find(id) {
      const rows = isUuid(id) ? await database.query<Row>(sql('schedule-find'), [id]) : []
      return rows[0] && toStored(rows[0])
    },
    async remove(id) {
      return isUuid(id) && (await database.query(sql('schedule-delete'), [id])).length > 0
    },
    async setEnabled(id, enabled) {
      return isUuid(id) && (await database.query(sql('schedule-enable'), [id, enabled])).length > 0
    },
    async runs(id, { before, limit }) {
      const rows = isUuid(id) ? await database.query<RunRow>(sql('schedule-runs'), [id, before ?? null, limit]) : []
      return rows.map(toRun)
    },
  }
}

interface Row extends QueryResultRow, ScheduleRow {
  id: string
  name: string
  description: string
  task: string
  args: unknown[]
  kwargs: Record<string, unknown>
  queue: string | null
  origin: 'db' | 'code'
  enabled: boolean
  finished: boolean
  next_run_at: Date | null
  last_run_at: Date | null
  last_task_id: string | null
  /** A bigint, which pg returns as text. */
  total_run_count: string
  last_error: string | null
  date_changed: Date
}

interface RunRow extends QueryResultRow {
  tick: Date
  reason: ScheduleRun['reason']
  outcome: ScheduleRun['outcome']
  missed: number
  task: string
  task_id: string | null
  decided_at: Date
  state: State | null
  started_at: Date | null
  done_at: Date | null
}

function createValues({ id, name, description = '', task, args, kwargs = {}, queue, origin = 'db', schedule }: NewSchedule) {
  const columns = toColumns(schedule)
  return [
    ...[id, name, description, task, JSON.stringify(args), JSON.stringify(kwargs), queue ?? null, origin, columns.kind],
    ...[
      columns.minute,
      columns.hour,
      columns.day_of_week,
      columns.day_of_month,
      columns.month_of_year,
      columns.day_rule,
      columns.timezone,
    ],
    ...[columns.every, columns.period, columns.anchor, columns.clocked_time],
  ]
}

/** Returns a name such as `tasks.echo, 15 minutes, 3f2a9c1e`. Random digits of the id make it unique. */
const defaultName = ({ task, schedule }: NewSchedule, id: string) =>
  `${`${task}, ${formatSchedule(schedule)}`.slice(0, 190)}, ${id.slice(-8)}`

/**
 * Translates the database's error into an AppError. 23505 is unique_violation. jsonb refuses \u0000 with 22P05
 * (untranslatable_character) and a lone surrogate with 22P02 (PostgreSQL 18, Appendix A).
 */
function translate(error: unknown, name: string): unknown {
  const { code, constraint } = error as { code?: string; constraint?: string }
  if (code === '23505' && constraint === 'schedule_name') {
    return new AppError('SCHEDULE_DUPLICATE', `a schedule named ${JSON.stringify(name)} already exists`, { cause: error })
  }
  if (code === '22P05' || code === '22P02') {
    const problem = 'args contain \\u0000 or a lone surrogate, which PostgreSQL cannot store in a schedule'
    return new AppError('VALUE_NOT_JSON', problem, { cause: error })
  }
  return error
}

function toStored(row: Row): StoredSchedule {
  const { id, name, description, task, args, kwargs, queue, origin, enabled, finished } = row
  return {
    ...{ id, name, description, task, args, kwargs, queue, origin, enabled, finished },
    ...readSchedule(row),
    nextRunAt: row.next_run_at,
    lastRunAt: row.last_run_at,
    lastTaskId: row.last_task_id,
    totalRunCount: Number(row.total_run_count),
    lastError: row.last_error,
    changedAt: row.date_changed,
  }
}

/** Returns the schedule of a row, or its problem, so that lists still show a row without a valid schedule. */
function readSchedule(row: ScheduleRow): Pick<StoredSchedule, 'schedule' | 'problem'> {
  try {
    return { schedule: fromColumns(row), problem: undefined }
  } catch (error) {
    return { schedule: undefined, problem: toError(error).message }
  }
}

const toRun = ({ task_id, decided_at, started_at, done_at, ...rest }: RunRow): ScheduleRun => ({
  ...(rest as Pick<ScheduleRun, 'tick' | 'reason' | 'outcome' | 'missed' | 'task' | 'state'>),
  taskId: task_id,
  decidedAt: decided_at,
  startedAt: started_at,
  doneAt: done_at,
})

const isUuid = (text: string) => /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i.test(text)
