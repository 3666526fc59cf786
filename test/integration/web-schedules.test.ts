import { afterEach, beforeEach, expect, test } from 'vitest'
import type { Database } from '../../src/database/database.ts'
import { createSchedules, type Schedules } from '../../src/database/schedules.ts'
import { parseSchedule } from '../../src/schedule/parse.ts'
import { tickTaskId } from '../../src/schedule/tick-id.ts'
import { createTestSchema, query, type TestSchema } from '../support/database.ts'
import { until } from '../support/until.ts'

const now = new Date('2026-11-22T18:00:00Z')
const schedule = (text: string) => parseSchedule(text, { timezone: 'Europe/Berlin', now })
let schema: TestSchema
let database: Database
let schedules: Schedules

beforeEach(async () => {
  schema = await createTestSchema()
  database = schema.open()
  schedules = createSchedules(database)
})
afterEach(() => schema.drop())

const sql = (text: string, values: unknown[] = []) => query(schema.url, text.replaceAll('@', `"${schema.schema}".`), values)

test.each(['*/15 *', '0 9 * * 1-5', '15 minutes', 'every 2 hours', 'celery: 0 9 mon 1 *'])(
  'the console stores the schedule %s unchanged',
  async (text) => {
    const id = await schedules.create({
      task: 'tasks.echo',
      args: [{ a: ['é', null] }],
      kwargs: { b: 1 },
      schedule: schedule(text),
    })
    expect(await schedules.find(id)).toMatchObject({
      id,
      task: 'tasks.echo',
      args: [{ a: ['é', null] }],
      kwargs: { b: 1 },
      schedule: schedule(text),
      problem: undefined,
      origin: 'db',
      enabled: true,
      finished: false,
      nextRunAt: null,
      lastRunAt: null,
      totalRunCount: 0,
    })
  },
)

test('the console stores a date as a schedule that runs once', async () => {
  const id = await schedules.create({ task: 'tasks.echo', args: [1], schedule: { kind: 'clocked', at: now } })
  expect(await schedules.find(id)).toMatchObject({ schedule: { kind: 'clocked', at: now } })
})

test('the console gives different names to schedules with the same task and time', async () => {
  const given = { task: 'tasks.echo', args: [1], schedule: schedule('15 minutes') }
  await Promise.all(Array.from({ length: 20 }, () => schedules.create(given)))
  const names = (await schedules.list({ limit: 100 })).map(({ name }) => name)
  expect(new Set(names).size).toBe(20)
  expect(names[0]).toMatch(/^tasks\.echo, 15 minutes, [0-9a-f]{8}$/)
})

test('the console refuses a duplicate schedule name with a message that has this name', async () => {
  const given = { name: 'nightly', task: 'tasks.echo', args: [1], schedule: schedule('15 minutes') }
  await schedules.create(given)
  await expect(schedules.create(given)).rejects.toMatchObject({
    code: 'SCHEDULE_DUPLICATE',
    message: expect.stringContaining('"nightly"'),
  })
})

test('the console refuses a text that PostgreSQL cannot store', async () => {
  const creating = schedules.create({ task: 'tasks.echo', args: ['\0'], schedule: schedule('15 minutes') })
  await expect(creating).rejects.toMatchObject({ code: 'VALUE_NOT_JSON' })
})

test('the console lists schedules by name, page by page', async () => {
  for (const name of ['c', 'a', 'd', 'b'])
    await schedules.create({ name, task: 'tasks.echo', args: [1], schedule: schedule('15 minutes') })
  const names = async (options: { after?: string; limit: number }) => (await schedules.list(options)).map(({ name }) => name)
  expect(await names({ limit: 3 })).toEqual(['a', 'b', 'c'])
  expect(await names({ after: 'c', limit: 3 })).toEqual(['d'])
})

test('the console lists an invalid row that was written by hand, with the reason', async () => {
  await sql(`INSERT INTO @schedule (name, task, kind, minute, hour, day_of_week, day_of_month, month_of_year, day_rule, timezone)
    VALUES ('by hand', 'tasks.echo', 'crontab', '61', '*', '*', '*', '*', 'or', 'UTC')`)
  expect(await schedules.list({ limit: 5 })).toMatchObject([
    { name: 'by hand', schedule: undefined, problem: expect.stringContaining('61') },
  ])
})

test('the console wakes beat on every change, and removes the next run of a disabled schedule', async () => {
  let woken = 0
  const subscription = await schema.open().listener.listen(database.channel('schedule'), () => {
    woken += 1
  })
  const id = await schedules.create({ task: 'tasks.echo', args: [1], schedule: schedule('15 minutes') })
  await until('told of the new schedule', () => woken === 1)
  await sql('UPDATE @schedule SET next_run_at = now()')
  expect(await schedules.setEnabled(id, false)).toBe(true)
  await until('told of the change', () => woken === 2)
  expect(await schedules.find(id)).toMatchObject({ enabled: false, nextRunAt: null })
  expect(await schedules.setEnabled(id, true)).toBe(true)
  expect(await schedules.find(id)).toMatchObject({ enabled: true })
  expect(await schedules.remove(id)).toBe(true)
  await until('told of the end', () => woken === 4)
  expect(await schedules.find(id)).toBeUndefined()
  await subscription.stop()
})

test.each(['01a0f3c2-0000-7000-8000-000000000001', 'nope', '', "1' OR '1'='1"])('no schedule has the id %j', async (id) => {
  expect(await schedules.find(id)).toBeUndefined()
  expect(await schedules.remove(id)).toBe(false)
  expect(await schedules.setEnabled(id, false)).toBe(false)
  expect(await schedules.runs(id, { limit: 5 })).toEqual([])
})

test('the console lists runs with the states of their tasks, newest first, also after the schedule is deleted', async () => {
  const id = await schedules.create({ task: 'tasks.echo', args: [1], schedule: schedule('15 minutes') })
  const ticks = [1, 2, 3].map((minutes) => new Date(now.getTime() + minutes * 60_000))
  for (const tick of ticks) {
    await sql(
      `INSERT INTO @schedule_run (schedule_id, tick, reason, task_id, outcome, schedule_name, task, host) VALUES ($1, $2, 'tick', $3, 'queued', 'n', 'tasks.echo', 'box')`,
      [id, tick, tickTaskId(id, tick)],
    )
  }
  await sql(`INSERT INTO @task_result (id, task, state, started_at, done_at) VALUES ($1, 'tasks.echo', 'SUCCESS', $2, $2)`, [
    tickTaskId(id, ticks[1]!),
    now,
  ])
  const runs = await schedules.runs(id, { limit: 2 })
  expect(runs.map(({ tick }) => tick)).toEqual([ticks[2], ticks[1]])
  expect(runs).toMatchObject([
    { taskId: tickTaskId(id, ticks[2]!), state: null, outcome: 'queued', reason: 'tick', missed: 0 },
    { taskId: tickTaskId(id, ticks[1]!), state: 'SUCCESS', doneAt: now },
  ])
  await schedules.remove(id)
  expect((await schedules.runs(id, { before: ticks[1]!, limit: 5 })).map(({ tick }) => tick)).toEqual([ticks[0]])
})
