/**
 * `npx node bench/beat.ts`: measures how many schedules one beat can serve. Creates 100,000 rows in a schema that is dropped at
 * the end. Measures planning all rows, claiming 10,000 rows that are due at the same time, and one idle look at the table.
 */
import { createClaimer } from '../src/beat/claimer.ts'
import { createPlanner } from '../src/beat/planner.ts'
import { type BeatSchedules, createBeatSchedules } from '../src/database/beat-schedules.ts'
import type { Database } from '../src/database/database.ts'
import { silentLog } from '../src/log.ts'
import { createBench, median } from './setup.ts'

const ROWS = 100_000
const DUE = 10_000

/**
 * Each schedule has another definition, so no computation is shared. Three of four are crontabs in a time zone, the fourth is an
 * interval.
 */
const INSERT = `
  INSERT INTO {schema}.schedule (name, task, args, kind, minute, hour, day_of_week, day_of_month, month_of_year, day_rule, timezone, every, period, anchor)
  SELECT 'bench ' || n, 'tasks.echo', '["hi"]', CASE WHEN n % 4 = 0 THEN 'interval' ELSE 'crontab' END, (n % 60)::text, (n / 60 % 24)::text,
    CASE WHEN n % 3 = 0 THEN '1-5' ELSE '*' END, CASE WHEN n % 1000 = 999 THEN '29' ELSE '*' END, '*', 'and',
    CASE WHEN n % 2 = 0 THEN 'UTC' ELSE 'America/New_York' END, 1 + n, 'minutes', now() FROM generate_series(1, ${ROWS}) AS n`

/** 10,000 schedules that share one definition, such as "every full hour". */
const SHARE = `UPDATE {schema}.schedule SET minute = '0', hour = '*', day_of_week = '*', day_of_month = '*', timezone = 'America/New_York', kind = 'crontab', every = NULL,
    period = NULL, anchor = NULL WHERE name = ANY (ARRAY (SELECT 'bench ' || n FROM generate_series(1, ${DUE}) AS n))`

const MAKE_DUE = `UPDATE {schema}.schedule SET next_run_at = date_trunc('second', now())
  WHERE name = ANY (ARRAY (SELECT 'bench ' || n FROM generate_series(1, ${DUE}) AS n))`

let statements = 0
const exec = (database: Database, text: string) => database.query({ name: `bench ${statements++}`, text })

async function timed(work: () => Promise<unknown>): Promise<number> {
  const beganAt = performance.now()
  await work()
  return performance.now() - beganAt
}

async function p50(work: () => Promise<unknown>): Promise<number> {
  const times: number[] = []
  for (let sample = 0; sample < 50; sample++) times.push(await timed(work))
  return median(times)
}

const planAll = async (schedules: BeatSchedules) => {
  const planSome = createPlanner(schedules, silentLog())
  while ((await planSome()).more);
}

const claimAll = async (schedules: BeatSchedules) => {
  const claimSome = createClaimer(schedules, { log: silentLog(), host: 'bench' })
  while ((await claimSome()).more);
}

/** Returns claims per second for 10,000 rows that are due at the same time: the median of three runs. */
async function claimRate(database: Database, schedules: BeatSchedules): Promise<number> {
  const rates: number[] = []
  for (let time = 0; time < 3; time++) {
    await exec(database, MAKE_DUE)
    await exec(database, 'ANALYZE {schema}.schedule')
    rates.push((DUE / (await timed(() => claimAll(schedules)))) * 1000)
    await exec(database, 'TRUNCATE {schema}.schedule_run, {schema}.outbox')
  }
  return median(rates)
}

export async function beat() {
  const bench = await createBench()
  const { database } = bench
  const schedules = createBeatSchedules(database)
  try {
    const insertMs = await timed(() => exec(database, INSERT))
    const planMs = await timed(() => planAll(schedules))
    await exec(database, 'ANALYZE {schema}.schedule')
    const idle = { plan: await p50(() => schedules.rowsToPlan(200, [])), next: await p50(() => schedules.next()) }
    const claimsPerSecond = await claimRate(database, schedules)
    await exec(database, SHARE)
    await planAll(schedules)
    const sharedPerSecond = await claimRate(database, schedules)
    await exec(database, MAKE_DUE)
    const dueMs = await p50(() => schedules.dueRows(500, []))
    await claimAll(schedules)
    const relayMs = await timed(async () => {
      while ((await bench.broker.relayDue(500)).moved === 500);
    })
    return {
      ...{ insertMs, dueMs, claimsPerSecond, sharedPerSecond },
      plansPerSecond: (ROWS / planMs) * 1000,
      idleMs: idle.plan + idle.next,
      relayedPerSecond: (DUE / relayMs) * 1000,
    }
  } finally {
    await bench.drop()
  }
}

if (import.meta.main) {
  const figures = await beat()
  process.stdout.write(
    `onedyno bench of beat, ${new Date().toISOString().slice(0, 10)}, Node ${process.version}, ${ROWS} schedules\n\n`,
  )
  const say = (what: string, figure: string) => process.stdout.write(`${what.padEnd(60)} ${figure.padStart(12)}\n`)
  say('insert', `${figures.insertMs.toFixed(0)} ms`)
  say('plan all, each definition another', `${figures.plansPerSecond.toFixed(0)}/s`)
  say(`claim ${DUE} due at one instant, each definition another`, `${figures.claimsPerSecond.toFixed(0)}/s`)
  say(`claim ${DUE} due at one instant, one definition`, `${figures.sharedPerSecond.toFixed(0)}/s`)
  say('publish their messages, 500 a statement', `${figures.relayedPerSecond.toFixed(0)}/s`)
  say('query for 500 due of all, p50', `${figures.dueMs.toFixed(2)} ms`)
  say('an idle look at the table (two statements), p50', `${figures.idleMs.toFixed(2)} ms`)
}
