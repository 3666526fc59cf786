import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { createPostgresBroker } from '../../src/broker/postgres/broker.ts'
import type { Database } from '../../src/database/database.ts'
import { silentLog } from '../../src/log.ts'
import { createMessage } from '../../src/message/message.ts'
import { createTestSchema, query, type TestSchema } from '../support/database.ts'
import { type RoleProcess, startRole } from '../support/role.ts'
import { until } from '../support/until.ts'

const app = join(import.meta.dirname, '../fixtures/apps/kill-app.mjs')
let schema: TestSchema
let database: Database
let folder: string
let env: Record<string, string>
const roles: RoleProcess[] = []

beforeEach(async () => {
  schema = await createTestSchema()
  database = schema.open()
  folder = await mkdtemp(join(tmpdir(), 'onedyno-kill-'))
  env = { ...schema.env, TRACE_FILE: join(folder, 'trace'), LOG_LEVEL: 'info' }
})
afterEach(async () => {
  for (const role of roles) role.kill('SIGKILL')
  for (const role of roles.splice(0)) await role.exited
  await schema.drop()
  await rm(folder, { recursive: true })
})

const worker = async (more: Record<string, string> = {}, concurrency = 4) => {
  const role = await startRole('worker', { ...env, ...more }, ['--app', app, '-c', String(concurrency)])
  roles.push(role)
  return role
}
const publish = (messages: { id: string; task: string; args: unknown[] }[]) =>
  createPostgresBroker(database, schema.config, silentLog()).publish(messages.map((message) => createMessage(message)))
const traces = async () =>
  (await readFile(join(folder, 'trace'), 'utf8').catch(() => ''))
    .trim()
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => line.split(' '))
const rows = (text: string) => query(schema.url, text.replaceAll('$', `"${schema.schema}".`))

describe('kill -9 of a worker', () => {
  it('makes another worker start the interrupted task within a second', async () => {
    const first = await worker({ HOLD: 'yes' })
    await publish([{ id: 'held', task: 'kill.hold', args: ['held'] }])
    await until('the task runs', async () => (await traces()).length === 1)
    await worker()
    const killedAt = Date.now()
    first.kill('SIGKILL')
    await until('it runs again', async () => (await traces()).length === 2)
    expect(Number((await traces())[1]?.[1]) - killedAt).toBeLessThan(1000)
    await until('recorded', async () => (await rows(`SELECT FROM $task_result WHERE state = 'SUCCESS'`)).length === 1)
  })

  it('that is repeated every second loses none of 1,000 tasks and records no task twice', async () => {
    const total = 1000
    await publish(Array.from({ length: total }, (_, n) => ({ id: `nap-${n}`, task: 'kill.nap', args: [n, 15] })))
    let kills = 0
    for (let left = total; left > 0; ) {
      const role = await worker()
      await delay(1000 - (kills === 0 ? 0 : 300))
      const [row] = await rows('SELECT count(*)::int AS done FROM $task_result WHERE done_at IS NOT NULL')
      left = total - Number(row?.done)
      if (left === 0) break
      role.kill('SIGKILL')
      await role.exited
      kills++
    }
    const states = await rows('SELECT state, count(*)::int FROM $task_result GROUP BY state')
    expect(states).toEqual([{ state: 'SUCCESS', count: total }])
    expect(await rows('SELECT FROM $message')).toEqual([])
    expect(new Set((await traces()).map(([, , n]) => n)).size).toBe(total)
    expect(kills).toBeGreaterThanOrEqual(2)
  })

  it('causes WorkerLostError for a task that kills its worker three times, and for no other task', async () => {
    await publish([
      ...Array.from({ length: 20 }, (_, n) => ({ id: `before-${n}`, task: 'kill.nap', args: [n, 300] })),
      { id: 'poison', task: 'kill.self', args: [] },
      ...Array.from({ length: 20 }, (_, n) => ({ id: `after-${n}`, task: 'kill.nap', args: [100 + n, 300] })),
    ])
    const done = async () => (await rows('SELECT FROM $task_result WHERE done_at IS NOT NULL')).length
    for (let start = 0; start < 6 && (await done()) < 41; start++) {
      const role = await worker({}, 10)
      await Promise.race([role.exited, until('all done', async () => (await done()) === 41)])
    }
    const outcome = await rows(`SELECT state, result FROM $task_result WHERE id = 'poison'`)
    expect(outcome[0]).toMatchObject({ state: 'FAILURE', result: expect.stringContaining('WorkerLostError') })
    expect((await traces()).filter(([, , n]) => n === 'self')).toHaveLength(3)
    expect(await rows(`SELECT state, count(*)::int FROM $task_result WHERE id <> 'poison' GROUP BY state`)).toEqual([
      { state: 'SUCCESS', count: 40 },
    ])
  })
})

describe('two beats at once', () => {
  it('send each of 60 ticks exactly once, although one beat is killed', async () => {
    roles.push(await startRole('beat', env), await startRole('beat', env))
    await worker()
    await rows(`INSERT INTO $schedule (name, task, args, kind, every, period, anchor, start_time, expires)
      SELECT 'every second', 'tasks.echo', '["tick"]', 'interval', 1, 'seconds', t, t, t + interval '60.5 seconds'
      FROM (SELECT date_trunc('second', now()) + interval '1 second' AS t) AS anchor`)
    await delay(20_000)
    roles[0]?.kill('SIGKILL')
    await until(
      'the end of the schedule',
      async () => (await rows(`SELECT FROM $schedule WHERE name = 'every second' AND finished`)).length === 1,
      60_000,
    )
    const runs =
      await rows(`SELECT count(*)::int AS runs, count(DISTINCT task_id)::int AS ids, count(DISTINCT tick)::int AS ticks,
      extract(epoch FROM max(tick) - min(tick))::int AS span FROM $schedule_run WHERE schedule_name = 'every second'`)
    expect(runs).toEqual([{ runs: 60, ids: 60, ticks: 60, span: 59 }])
    await until(
      '60 results',
      async () =>
        (await rows(`SELECT FROM $task_result r JOIN $schedule_run s ON s.task_id = r.id WHERE r.state = 'SUCCESS'`)).length ===
        60,
    )
    expect(await rows('SELECT FROM $outbox')).toEqual([])
  }, 120_000)
})
