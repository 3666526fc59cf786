import { setTimeout as delay } from 'node:timers/promises'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type App, createRegistry } from '../../src/app/app.ts'
import type { TaskContext } from '../../src/app/task-context.ts'
import { createPostgresBroker } from '../../src/broker/postgres/broker.ts'
import { createBackend } from '../../src/commands/backend.ts'
import { createResults, type Results } from '../../src/database/results.ts'
import { silentLog } from '../../src/log.ts'
import { startWorker, type Worker } from '../../src/worker/worker.ts'
import { createTestSchema, query, type TestSchema } from '../support/database.ts'
import { until } from '../support/until.ts'

let schema: TestSchema
let app: App
let results: Results
const workers: Worker[] = []

beforeEach(async () => {
  schema = await createTestSchema()
  const database = schema.open()
  results = createResults(database)
  app = createRegistry(async () => createBackend(database, createPostgresBroker(database, schema.config, silentLog()), results))
})
afterEach(async () => {
  for (const worker of workers.splice(0)) await worker.stop()
  await schema.drop()
})

async function work(options: { concurrency?: number; graceMs?: number; queues?: string[] } = {}): Promise<Worker> {
  const broker = createPostgresBroker(schema.open(), schema.config, silentLog())
  const { concurrency = 4, graceMs = 2000, queues = ['celery'] } = options
  const worker = await startWorker({
    app,
    broker,
    log: silentLog(),
    name: 'celery@test',
    queues,
    concurrency,
    maxDeliveries: 3,
    graceMs,
  })
  workers.push(worker)
  return worker
}

describe('a task from call to result', () => {
  it('returns its result to a waiting client by NOTIFY, without polling', async () => {
    const add = app.task('add', (x: number, y: number) => x + y)
    await work()
    expect(await (await add.delay(2, 3)).get({ timeoutMs: 5000 })).toBe(5)
  })

  it('can be found by its id in another process', async () => {
    const fail = app.task('fail', () => {
      throw new TypeError('no')
    })
    await work()
    const { id } = await fail.delay()
    await expect(app.asyncResult(id).get({ timeoutMs: 5000 })).rejects.toMatchObject({ excType: 'TypeError', state: 'FAILURE' })
    const info = await fail.asyncResult(id).info()
    expect(info).toMatchObject({ task: 'fail', state: 'FAILURE', worker: 'celery@test', queue: 'celery' })
    expect(info!.traceback).toContain('worker.test.ts')
    await fail.asyncResult(id).forget()
    expect(await fail.asyncResult(id).state()).toBe('PENDING')
  })

  it('wakes a hundred waiting clients with their results, whatever size the results have', async () => {
    const big = app.task('big', (n: number) => 'x'.repeat(n))
    await work({ concurrency: 20 })
    const handles = await Promise.all(Array.from({ length: 100 }, (_, index) => big.delay(index * 500)))
    const values = await Promise.all(handles.map((handle) => handle.get({ timeoutMs: 10_000 })))
    expect(values.map(({ length }) => length)).toEqual(Array.from({ length: 100 }, (_, index) => index * 500))
  })

  it('has the state STARTED while it runs', async () => {
    let release = () => {}
    const slow = app.task('slow', () => new Promise<string>((resolve) => (release = () => resolve('done'))))
    await work()
    const handle = await slow.delay()
    await until('STARTED', async () => (await handle.state()) === 'STARTED')
    release()
    expect(await handle.get({ timeoutMs: 5000 })).toBe('done')
  })

  it('runs once when two messages have the same id', async () => {
    let runs = 0
    const once = app.task('once', async () => {
      runs++
      await delay(100)
      return runs
    })
    await once.applyAsync([], { taskId: 'same' })
    await once.applyAsync([], { taskId: 'same' })
    const worker = await work()
    expect(await once.asyncResult('same').get({ timeoutMs: 5000 })).toBe(1)
    await worker.stop()
    workers.pop()
    expect(runs).toBe(1)
    expect(await query(schema.url, `SELECT FROM "${schema.schema}".message`)).toEqual([])
  })

  it('never runs more often at the same time than the concurrency of its worker allows', async () => {
    let now = 0
    let most = 0
    const task = app.task('count', async () => {
      most = Math.max(most, ++now)
      await delay(5)
      now--
    })
    const handles = await Promise.all(Array.from({ length: 40 }, () => task.delay()))
    await work({ concurrency: 3 })
    for (const handle of handles) await handle.get({ timeoutMs: 10_000 })
    expect(most).toBe(3)
  })
})

describe('a worker that is asked to stop', () => {
  it('lets a running task finish and stores its outcome', async () => {
    const slow = app.task('slow', async () => {
      await delay(300)
      return 'done'
    })
    const worker = await work()
    const handle = await slow.delay()
    await until('running', () => worker.running === 1)
    await Promise.all([worker.stop(), worker.stop()])
    expect(await handle.state()).toBe('SUCCESS')
  })

  it('requeues tasks that do not finish before the shutdown timeout', async () => {
    const seen: number[] = []
    const stubborn = app.task(
      'stubborn',
      async (context: TaskContext) => {
        seen.push(context.retries)
        if (seen.length === 1) await new Promise(() => {})
        return 'second time'
      },
      { bind: true },
    )
    const first = await work({ graceMs: 100 })
    const handle = await stubborn.delay()
    await until('running', () => first.running === 1)
    await first.stop()
    expect(await query(schema.url, `SELECT worker, deaths FROM "${schema.schema}".message`)).toEqual([
      { worker: null, deaths: 0 },
    ])
    await work()
    expect(await handle.get({ timeoutMs: 5000 })).toBe('second time')
  })

  it('aborts the signal of a running task and requeues its message', async () => {
    let runs = 0
    const obedient = app.task(
      'obedient',
      async (context: TaskContext) => {
        if (++runs > 1) return runs
        await delay(60_000, undefined, { signal: context.signal })
        return runs
      },
      { bind: true },
    )
    const first = await work({ graceMs: 50 })
    const handle = await obedient.delay()
    await until('running', () => first.running === 1)
    await first.stop()
    await work()
    expect(await handle.get({ timeoutMs: 5000 })).toBe(2)
  })

  it('leaves no row in the table of workers', async () => {
    const worker = await work()
    await worker.stop()
    workers.pop()
    expect(await query(schema.url, `SELECT FROM "${schema.schema}".worker`)).toEqual([])
  })
})

describe('a worker whose database is unreachable', () => {
  it('keeps outcomes in memory and stores the outcomes when the database is back', async () => {
    let release = () => {}
    const held = app.task('held', () => new Promise<string>((resolve) => (release = () => resolve('kept'))))
    const after = app.task('after', () => 'works again')
    const worker = await work()
    const handle = await held.delay()
    await until('running', () => worker.running === 1)
    const terminate =
      'SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND application_name LIKE $1'
    await query(schema.url, terminate, ['onedyno test%'])
    release()
    expect(await until('recorded', async () => (await handle.ready().catch(() => false)) && handle.get())).toBe('kept')
    expect(await (await after.delay()).get({ timeoutMs: 10_000 })).toBe('works again')
    expect((await query(schema.url, `SELECT FROM "${schema.schema}".worker`)).length).toBe(1)
  })
})

describe('results', () => {
  it('are deleted after their time to live, except for tasks that still wait', async () => {
    const task = app.task('t', () => 1)
    await results.recordSent({ id: 'waiting', task: 't', queue: 'celery', args: '[[],{}]' })
    await results.recordSent({ id: 'lost', task: 't', queue: 'celery', args: '[[],{}]' })
    await task.applyAsync([], { taskId: 'waiting', countdown: 3600 })
    const insert = `INSERT INTO "${schema.schema}".task_result (id, task, state, done_at) SELECT 'old' || n, 't', 'SUCCESS', now() - interval '2 days' FROM generate_series(1, 25000) n`
    await query(schema.url, insert)
    await query(
      schema.url,
      `INSERT INTO "${schema.schema}".task_result (id, task, state, done_at) VALUES ('young', 't', 'SUCCESS', now())`,
    )
    await query(
      schema.url,
      `UPDATE "${schema.schema}".task_result SET created_at = now() - interval '2 days' WHERE done_at IS NULL`,
    )
    expect(await results.cleanUp(86_400)).toBe(25_001)
    const left = await query(schema.url, `SELECT id FROM "${schema.schema}".task_result ORDER BY id`)
    expect(left.map(({ id }) => id)).toEqual(['waiting', 'young'])
  })

  it('tell whether a task that has not run is in the outbox or in a queue', async () => {
    const task = app.task('t', () => 1)
    await task.applyAsync([], { taskId: 'later', countdown: 3600 })
    await task.applyAsync([], { taskId: 'queued' })
    expect(await results.locate('later')).toMatchObject({ task: 't', state: 'PENDING', dueAt: expect.any(Date) })
    expect(await results.locate('queued')).toMatchObject({ task: 't', state: 'PENDING', dueAt: null })
    expect(await results.locate('nobody')).toBeUndefined()
  })
})
