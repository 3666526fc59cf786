import { Pool } from 'pg'
import { v5 as uuidv5 } from 'uuid'
import { test } from 'vitest'
import { type Beat, startBeat } from '../../src/beat/beat.ts'
import { type OutboxRelay, startOutboxRelay } from '../../src/broker/outbox/relay.ts'
import { createPostgresBroker } from '../../src/broker/postgres/broker.ts'
import { type BeatSchedules, createBeatSchedules } from '../../src/database/beat-schedules.ts'
import type { Database } from '../../src/database/database.ts'
import { createLog, type Log, silentLog } from '../../src/log.ts'
import { createTestSchema, type TestSchema } from './database.ts'

type Row = Record<string, unknown>

/** Runs beats in a schema of its own, with a separate connection for SQL. */
export interface BeatBench {
  readonly schema: TestSchema
  /** Runs one statement with the schema as search path, as a person does in psql. */
  sql<Result extends Row = Row>(text: string, values?: unknown[]): Promise<Result[]>
  /** The row of the schedule with this name. */
  row(name: string): Promise<ScheduleState | undefined>
  runs(name: string): Promise<Run[]>
  /** Inserts an interval schedule. `more` has additional columns. */
  addInterval(name: string, seconds: number, more?: Row): Promise<void>
  add(columns: Row): Promise<void>
  beat(options?: { log?: Log; schedules?: (made: BeatSchedules) => BeatSchedules }): Promise<{ beat: Beat; database: Database }>
  /** Opens a transaction that stays open until `end`. */
  begin(): Promise<{ sql(text: string): Promise<unknown>; end(how: 'COMMIT' | 'ROLLBACK'): Promise<void> }>
  /** Starts an outbox relay to the PostgreSQL broker, on its own database pool or on that of a beat. */
  relay(database?: Database): Promise<{ relay: OutboxRelay; database: Database }>
  /** Beat's statements, without a running beat. */
  table(): BeatSchedules
  close(): Promise<void>
}

export interface ScheduleState extends Row {
  readonly id: string
  readonly next_run_at: Date | null
  readonly finished: boolean
  readonly enabled: boolean
  readonly last_run_at: Date | null
  readonly last_task_id: string | null
  readonly last_error: string | null
  readonly total_run_count: string
  readonly version: string
  readonly tzdata: string | null
}

export interface Run extends Row {
  readonly schedule_id: string
  readonly tick: Date
  readonly reason: string
  readonly outcome: string
  readonly missed: number
  readonly task_id: string | null
  /** `total_run_count` of the schedule, read at the same time. */
  readonly counted: string | null
}

async function createBeatBench(): Promise<BeatBench> {
  const schema = await createTestSchema()
  const pool = new Pool({ connectionString: schema.url, options: `-c search_path=${schema.schema}`, max: 2 })
  const running: { stop(): Promise<void> }[] = []
  const sql = async <Result extends Row>(text: string, values: unknown[] = []) =>
    (await pool.query(text, values)).rows as Result[]
  const add = async (columns: Row) => {
    const all = { task: 'tasks.echo', ...columns }
    const names = Object.keys(all)
    const marks = names.map((_, index) => `$${index + 1}`)
    await sql(`INSERT INTO schedule (${names}) VALUES (${marks})`, Object.values(all))
  }
  // application_name contains the schema, so that a test can terminate only its own connections.
  const open = (log: Log = silentLog()) => schema.open({ name: schema.schema, log })
  return {
    schema,
    sql,
    add,
    async row(name) {
      return (await sql<ScheduleState>('SELECT * FROM schedule WHERE name = $1', [name]))[0]
    },
    runs: (name) =>
      sql<Run>(
        'SELECT r.*, (SELECT total_run_count FROM schedule WHERE id = r.schedule_id) AS counted FROM schedule_run r WHERE schedule_name = $1 ORDER BY tick',
        [name],
      ),
    addInterval: (name, seconds, more = {}) =>
      add({ name, kind: 'interval', every: seconds, period: 'seconds', anchor: new Date(), ...more }),
    async beat({ log = silentLog(), schedules = (made: BeatSchedules) => made } = {}) {
      const database = open(log)
      const beat = await startBeat(database, schedules(createBeatSchedules(database)), { log, host: 'test' })
      running.push(beat)
      return { beat, database }
    },
    async relay(database = open()) {
      const broker = createPostgresBroker(database, schema.config, silentLog())
      const relay = await startOutboxRelay(database, broker, silentLog())
      running.push(relay)
      return { relay, database }
    },
    async begin() {
      const client = await pool.connect()
      await client.query('BEGIN')
      return {
        sql: (text) => client.query(text),
        async end(how) {
          await client.query(how)
          client.release()
        },
      }
    },
    table: () => createBeatSchedules(open()),
    async close() {
      for (const one of running) await one.stop()
      await pool.end()
      await schema.drop()
    },
  }
}

/** A concurrent test with its own bench, because these tests wait for real seconds. */
export const benchTest = (name: string, work: (bench: BeatBench) => Promise<void>): void =>
  test.concurrent(name, async () => {
    const bench = await createBeatBench()
    try {
      await work(bench)
    } finally {
      await bench.close()
    }
  })

/** Terminates all connections of the beats and relays in this schema, as a server restart does. */
export const terminateBackends = ({ sql, schema }: BeatBench): Promise<Row[]> =>
  sql('SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE $1', [`onedyno ${schema.schema}%`])

/** The defects in the history of an interval schedule: missing ticks, duplicate ticks, wrong task ids. */
export async function flaws(bench: BeatBench, name: string, everyMs: number): Promise<string[]> {
  const runs = await bench.runs(name)
  const found: string[] = []
  for (const [index, { tick, task_id, schedule_id, outcome, missed }] of runs.entries()) {
    const at = tick.toISOString()
    const previous = runs[index - 1]
    if (previous !== undefined && tick.getTime() - previous.tick.getTime() !== everyMs)
      found.push(`${name}: ${at} follows ${previous.tick.toISOString()}`)
    if (task_id !== uuidv5(at, schedule_id)) found.push(`${name}: ${at} has the id ${task_id}`)
    if (outcome !== 'queued' || missed !== 0) found.push(`${name}: ${at} is ${outcome}, stands for ${missed} others`)
  }
  if (Number(runs[0]?.counted) !== runs.length) found.push(`${name}: ${runs[0]?.counted} counted, ${runs.length} runs`)
  return found
}

/** A log that collects its lines for the test. */
export function createHeardLog(): { log: Log; lines: Row[] } {
  const lines: Row[] = []
  const write = { write: (line: string) => void lines.push(JSON.parse(line) as Row) }
  return { log: createLog({ level: 'debug', format: 'json' }, write), lines }
}
