import { afterEach, beforeEach, describe, expect, it, onTestFinished } from 'vitest'
import { type App, createRegistry } from '../../src/app/app.ts'
import { createPostgresBroker } from '../../src/broker/postgres/broker.ts'
import { createBackend } from '../../src/commands/backend.ts'
import { createResults } from '../../src/database/results.ts'
import { silentLog } from '../../src/log.ts'
import { createMessage } from '../../src/message/message.ts'
import { startWorker, type Worker } from '../../src/worker/worker.ts'
import { createTestSchema, query, type TestSchema } from '../support/database.ts'
import { startDatabaseProxy } from '../support/database-proxy.ts'
import { until } from '../support/until.ts'

let schema: TestSchema
let app: App
let worker: Worker | undefined

beforeEach(async () => {
  schema = await createTestSchema()
  const database = schema.open({ name: 'sender' })
  const results = createResults(database)
  app = createRegistry(async () => createBackend(database, createPostgresBroker(database, schema.config, silentLog()), results))
})
afterEach(async () => {
  await worker?.stop()
  worker = undefined
  await schema.drop()
})

async function work(): Promise<void> {
  const broker = createPostgresBroker(schema.open(), schema.config, silentLog())
  const options = { name: 'celery@test', queues: ['celery'], concurrency: 4, maxDeliveries: 3, graceMs: 2000 }
  worker = await startWorker({ ...options, app, broker, log: silentLog() })
}

it('a worker that cannot store an outcome stops in time, and the next worker runs the task again', async () => {
  const { proxy, url } = await startDatabaseProxy(schema.url)
  onTestFinished(() => proxy.close())
  const far = createPostgresBroker(schema.open({ env: { DATABASE_URL: url } }), schema.config, silentLog())
  let runs = 0
  const away = app.task('away', () => {
    if (runs++ === 0) proxy.shut()
    return runs
  })
  const options = { name: 'celery@test', queues: ['celery'], concurrency: 4, maxDeliveries: 3, graceMs: 2000 }
  const first = await startWorker({ ...options, app, broker: far, log: silentLog() })
  const result = await away.delay()
  await until('it ran', () => runs === 1)
  await first.stop()
  await work()
  expect(await result.get({ timeoutMs: 10_000 })).toBe(2)
})

describe('a task with an unusual error or value', () => {
  const odd: [string, () => unknown][] = [
    ['an object that cannot be converted to a text', () => Object.create(null)],
    ['an error whose name is a property of every object', () => Object.assign(new Error('x'), { name: 'constructor' })],
    ['an error whose message is a bigint', () => Object.assign(new Error('x'), { message: 10n })],
    [
      'an error that throws when it is read',
      () =>
        Object.defineProperty(new Error('x'), 'message', {
          get: () => {
            throw new Error('no')
          },
        }),
    ],
    [
      'an error that is its own cause',
      () => {
        const error = new Error('x')
        error.cause = error
        return error
      },
    ],
  ]
  it.each(odd)('is stored as FAILURE when it throws %s', async (_name, create) => {
    const task = app.task('odd', () => {
      throw create()
    })
    await work()
    await expect((await task.delay()).get({ timeoutMs: 5000 })).rejects.toMatchObject({ state: 'FAILURE' })
  })

  it.each([['text'], [1.5], [-1], [2 ** 40], [null]])('has an outcome despite the retry count %j', async (retries) => {
    const task = app.task('t', () => 'fine')
    await work()
    // Sent as another producer would send it, because our own refuses such headers.
    const foreign = createMessage({ id: 'foreign', task: 't', args: [], headers: { retries } })
    await createPostgresBroker(schema.open(), schema.config, silentLog()).publish([foreign])
    expect(await task.asyncResult('foreign').get({ timeoutMs: 5000 })).toBe('fine')
  })

  it.each([['a\0b'], ['a\u{10ffff}\ud800'], ['__proto__'], ['x'.repeat(10_000_000)]])(
    'returns its value and its keys unchanged',
    async (text) => {
      const task = app.task('t', (value: unknown) => ({ value, object: JSON.parse(`{${JSON.stringify(text)}: 1}`) }))
      await work()
      const value = await (await task.delay(text)).get({ timeoutMs: 10_000 })
      expect(JSON.stringify(value) === JSON.stringify({ value: text, object: JSON.parse(`{${JSON.stringify(text)}: 1}`) })).toBe(
        true,
      )
    },
  )
})

describe('an id or name that the database cannot store', () => {
  it.each([['nu\0l'], ['half \ud800'], ['']])('is refused before anything is sent: %j', async (text) => {
    await expect(app.sendTask('t', [], { taskId: text })).rejects.toMatchObject({ code: 'TASK_OPTION_INVALID' })
    await expect(app.sendTask(text, [])).rejects.toMatchObject({ code: 'TASK_OPTION_INVALID' })
    await expect(app.sendTask('t', [], { queue: text })).rejects.toMatchObject({ code: 'TASK_OPTION_INVALID' })
  })
})

describe('a client that waits for a result', () => {
  it('gets the result although the connection of its query broke', async () => {
    const task = app.task('t', () => 'there')
    await work()
    await (await task.delay()).get({ timeoutMs: 5000 })
    const { id } = await app.sendTask('t', [], { taskId: 'other' })
    await worker?.stop()
    const insert = `INSERT INTO "${schema.schema}".task_result (id, task, state, result, done_at) VALUES ('late', 't', 'SUCCESS', '1', now())`
    await query(schema.url, insert)
    // The table is missing for the first query and back for a later one. There is no NOTIFY on the channel.
    await query(schema.url, `ALTER TABLE "${schema.schema}".task_result RENAME TO hidden`)
    const waiting = app.asyncResult('late').get({ timeoutMs: 5000 })
    await expect(app.asyncResult('late').state()).rejects.toThrow('does not exist')
    await query(schema.url, `ALTER TABLE "${schema.schema}".hidden RENAME TO task_result`)
    expect(await waiting).toBe(1)
    expect(id).toBe('other')
  })

  it('ignores unknown notifications on its NOTIFY channel', async () => {
    const task = app.task('t', () => 'there')
    const handle = await task.delay()
    const waiting = handle.get({ timeoutMs: 5000 })
    await query(schema.url, `SELECT pg_notify($1, 'not JSON')`, [`${schema.schema}.result`])
    await work()
    expect(await waiting).toBe('there')
  })
})
