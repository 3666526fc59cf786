import { randomUUID } from 'node:crypto'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import type { App } from '../../../src/app/app.ts'
import type { Delivery } from '../../../src/broker/broker.ts'
import { startOutboxRelay } from '../../../src/broker/outbox/relay.ts'
import { keepInOutbox } from '../../../src/database/outbox.ts'
import { silentLog } from '../../../src/log.ts'
import { startWorker } from '../../../src/worker/worker.ts'
import { type Ours, openOursOnRedis } from '../../support/celery-ours.ts'
import type { PythonClient } from '../../support/celery-process.ts'
import { type CeleryRedis, createCeleryRedis } from '../../support/celery-redis.ts'
import { createTestSchema, type TestSchema } from '../../support/database.ts'
import { lacks } from '../../support/lacks.ts'
import { until } from '../../support/until.ts'

describe.skipIf(lacks('redis', 'celery'))('our worker on Redis, called by a Python client,', () => {
  let schema: TestSchema
  let celery: CeleryRedis
  let ours: Ours
  let python: PythonClient
  let python1: PythonClient
  const ran: unknown[] = []
  const stops: (() => Promise<void>)[] = []

  beforeAll(async () => {
    schema = await createTestSchema()
    celery = await createCeleryRedis()
    ours = openOursOnRedis(schema, celery)
    ours.app.task('tasks.echo', (...args: unknown[]) => {
      ran.push(args[0])
      const last = args.at(-1)
      return args.length > 1 && typeof last === 'object' ? { args: args.slice(0, -1), kwargs: last } : args[0]
    })
    ours.app.task('tasks.fail', (text: string) => {
      throw new RangeError(text)
    })
    ours.app.task('tasks.fail_here', () => {
      throw Object.assign(new Error('only known to us'), { name: 'OurOwnError' })
    })
    const { app, broker } = ours
    const relay = await startOutboxRelay(schema.open(), broker, silentLog())
    const parking = schema.open()
    const worker = await startWorker({
      app,
      broker,
      log: silentLog(),
      name: 'celery@ours',
      queues: ['celery'],
      concurrency: 4,
      maxDeliveries: 3,
      graceMs: 1000,
      park: (message, dueAt) => keepInOutbox(parking, message, dueAt),
    })
    python = celery.client()
    python1 = celery.client({ PROTOCOL: '1' })
    stops.push(
      () => worker.stop(),
      () => relay.stop(),
    )
  })
  afterAll(async () => {
    for (const stop of stops) await stop()
    await ours?.broker.close()
    await celery?.close()
    await schema?.drop()
  })

  const call = (task: string, args: unknown[] = [], more: object = {}) => python.call({ id: randomUUID(), task, args, ...more })

  it.each([
    ['a number', [7], 7],
    ['text in several scripts', ['Grüße, 世界, \u{1F980}'], 'Grüße, 世界, \u{1F980}'],
    ['a megabyte', ['x'.repeat(1 << 20)], 'x'.repeat(1 << 20)],
    ['null', [null], null],
  ])('returns %s unchanged', async (_name, args, value) => {
    expect(await call('tasks.echo', args)).toMatchObject({ state: 'SUCCESS', value })
  })

  it('receives keyword arguments', async () => {
    const answer = await call('tasks.echo', [1], { kwargs: { key: 'value' } })
    expect(answer.value).toEqual({ args: [1], kwargs: { key: 'value' } })
  })

  it("raises a task's error in the Python client, as the builtin exception of the same name if Python has one", async () => {
    expect(await call('tasks.fail', ['boom'])).toMatchObject({
      state: 'FAILURE',
      error: 'ValueError',
      module: 'builtins',
      args: ['boom'],
    })
    expect(await call('tasks.fail_here')).toMatchObject({ state: 'FAILURE', error: 'OurOwnError', args: ['only known to us'] })
  })

  it('raises NotRegistered in the Python client for an unregistered task', async () => {
    expect(await call('tasks.unknown')).toMatchObject({ state: 'FAILURE', error: 'NotRegistered', args: ['tasks.unknown'] })
  })

  it('does not run an expired task', async () => {
    const expires = new Date(Date.now() - 1000).toISOString()
    expect(await call('tasks.echo', ['late'], { options: { expires } })).toMatchObject({
      state: 'REVOKED',
      error: 'TaskRevokedError',
    })
    expect(ran).not.toContain('late')
  })

  it.each([
    ['a countdown', () => ({ countdown: 1 })],
    ['an eta', () => ({ eta: new Date(Date.now() + 1000).toISOString() })],
  ])('runs a task after %s', async (_name, options) => {
    const sentAt = Date.now()
    expect(await call('tasks.echo', ['waited'], { options: options() })).toMatchObject({ value: 'waited' })
    expect(Date.now() - sentAt).toBeGreaterThan(900)
  })

  it('leaves neither a result nor a message if the result is ignored', async () => {
    const id = randomUUID()
    await python.call({ id, task: 'tasks.echo', args: ['ignored'], options: { ignore_result: true }, timeout: 1 })
    await until('task run', () => ran.includes('ignored'))
    expect(await celery.redis.exists(`celery-task-meta-${id}`)).toBe(0)
    await until('acknowledged', async () => (await celery.redis.hlen(`${celery.prefix}unacked`)) === 0)
  })

  it('accepts messages of protocol 1', async () => {
    const answer = await python1.call({ id: randomUUID(), task: 'tasks.echo', args: ['one'], kwargs: { k: 1 } })
    expect(answer).toMatchObject({ state: 'SUCCESS', value: { args: ['one'], kwargs: { k: 1 } } })
  })

  it('refuses pickle, YAML and unknown compression, and continues', async () => {
    const id = randomUUID()
    await python.call({ id, task: 'tasks.echo', args: ['pickled'], options: { serializer: 'pickle' }, timeout: 0.5 })
    await until('outcome stored', async () => (await ours.results.find(id))?.state === 'FAILURE')
    expect(ran).not.toContain('pickled')
    expect(await call('tasks.echo', ['alive'])).toMatchObject({ value: 'alive' })
  })

  it('accepts zlib compression', async () => {
    expect(await call('tasks.echo', ['small'], { options: { compression: 'zlib' } })).toMatchObject({ value: 'small' })
  })

  it.each([
    ['garbage', '\u0000 not JSON'],
    ['a list', '[1, 2, 3]'],
    ['an envelope without properties', '{"body": "W10=", "headers": {}}'],
    ['an envelope without a delivery tag', '{"body": "W10=", "properties": {}}'],
    [
      'a body that cannot be decoded',
      JSON.stringify({ body: '!!!', headers: {}, properties: { delivery_tag: 'broken', body_encoding: 'base64' } }),
    ],
  ])('stores %s as a dead letter, and continues', async (_name, entry) => {
    const letters = async () =>
      (await schema.open().query({ name: 'letters', text: 'SELECT body FROM {schema}.dead_letter' })).length
    const before = await letters()
    await celery.redis.lpush(`${celery.prefix}celery`, entry)
    await until('dead letter', async () => (await letters()) === before + 1)
    expect(await call('tasks.echo', ['alive'])).toMatchObject({ value: 'alive' })
    await until('queue empty', async () => (await celery.redis.keys(`${celery.prefix}onedyno.broken*`)).length === 0)
    await until('acknowledged', async () => (await celery.redis.hlen(`${celery.prefix}unacked`)) === 0)
  })
})

describe.skipIf(lacks('redis', 'celery'))('our client on Redis, with a Python worker,', () => {
  let schema: TestSchema
  let celery: CeleryRedis
  let ours: Ours

  beforeAll(async () => {
    schema = await createTestSchema()
    celery = await createCeleryRedis()
    ours = openOursOnRedis(schema, celery)
    const relay = await startOutboxRelay(schema.open(), ours.broker, silentLog())
    onClose.push(() => relay.stop())
    await celery.worker()
  })
  const onClose: (() => Promise<void>)[] = []
  const ids: string[] = []
  afterAll(async () => {
    for (const close of onClose) await close()
    await ours?.broker.close()
    if (ids.length > 0) await celery?.redis.del(ids.map((id) => `celery-task-meta-${id}`))
    await celery?.close()
    await schema?.drop()
  })

  const send = async (task: string, args: unknown[], options: Parameters<App['sendTask']>[2] = {}) => {
    const { id } = await ours.app.sendTask(task, args, options)
    ids.push(id)
    return id
  }
  const result = async (id: string, timeoutMs?: number) =>
    JSON.parse(await until('a result', () => celery.redis.get(`celery-task-meta-${id}`), timeoutMs)) as Record<string, unknown>
  it.each([
    ['a number', [7], {}, 7],
    ['text in several scripts', ['Grüße, 世界, \u{1F980}'], {}, 'Grüße, 世界, \u{1F980}'],
    ['a megabyte', ['x'.repeat(1 << 20)], {}, 'x'.repeat(1 << 20)],
    ['keyword arguments', [1], { kwargs: { key: 'value' } }, { args: [1], kwargs: { key: 'value' } }],
    ['any priority', [9], { priority: 200 }, 9],
  ])('runs a Python task with %s', async (_name, args, options, value) => {
    expect(await result(await send('tasks.echo', args, options))).toMatchObject({ status: 'SUCCESS', result: value })
  })

  it('receives the exception that a Python task raised', async () => {
    expect(await result(await send('tasks.fail', ['boom']))).toMatchObject({
      status: 'FAILURE',
      result: { exc_type: 'ValueError', exc_message: ['boom'], exc_module: 'builtins' },
    })
  })

  it('runs a Python task after its countdown', async () => {
    const sentAt = Date.now()
    expect(await result(await send('tasks.echo', [1], { countdown: 1 }))).toMatchObject({ status: 'SUCCESS' })
    expect(Date.now() - sentAt).toBeGreaterThan(900)
  })

  it('does not run an expired task', async () => {
    const id = await send('tasks.echo', [1], { expires: new Date(Date.now() - 1000) })
    expect(await result(id)).toMatchObject({ status: 'REVOKED', result: { exc_type: 'TaskRevokedError' } })
  })

  it('receives NotRegistered for a task that is unknown to Python', async () => {
    expect(await result(await send('tasks.unknown', []))).toMatchObject({
      status: 'FAILURE',
      result: { exc_type: 'NotRegistered' },
    })
  })

  it('leaves neither messages nor unacknowledged entries in Redis', async () => {
    await until('all acknowledged', async () => (await celery.redis.hlen(`${celery.prefix}unacked`)) === 0)
    expect(await ours.broker.depths(['celery'])).toEqual([{ queue: 'celery', ready: 0, running: 0 }])
  })
})

describe.skipIf(lacks('redis', 'celery'))('Redis, with Python and TypeScript workers on the same queue,', () => {
  let schema: TestSchema
  let celery: CeleryRedis
  beforeEach(async () => {
    schema = await createTestSchema()
    celery = await createCeleryRedis()
  })
  afterEach(async () => {
    await celery?.close()
    await schema?.drop()
  })

  it('delivers the messages of our dead worker to the Python worker', async () => {
    const doomed = openOursOnRedis(schema, celery)
    const taken: string[] = []
    await doomed.broker.consume({
      queues: ['celery'],
      concurrency: 5,
      name: 'celery@doomed',
      onDeliveries: (deliveries) => taken.push(...deliveries.map(({ message }) => message.headers.id)),
    })
    const { app, broker } = openOursOnRedis(schema, celery)
    const sent = await Promise.all([1, 2, 3].map((value) => app.sendTask('tasks.echo', [value])))
    await until('taken', () => taken.length === 3)
    // Another worker of ours has to notice the death. A Python worker would restore only after its visibility timeout.
    const watcher = await broker.consume({
      queues: ['elsewhere'],
      concurrency: 1,
      name: 'celery@watcher',
      onDeliveries: () => {},
    })
    await celery.worker()
    doomed.broker.destroy()
    for (const { id } of sent) {
      const text = await until('a result', () => celery.redis.get(`celery-task-meta-${id}`), 12_000)
      expect(JSON.parse(text)).toMatchObject({ status: 'SUCCESS' })
      await celery.redis.del(`celery-task-meta-${id}`)
    }
    await watcher.close()
    await broker.close()
  })

  it('does not redeliver a long task of our worker when the visibility timeout of a Python worker has passed', async () => {
    const { app, broker } = openOursOnRedis(schema, celery)
    const seen: string[] = []
    let held: Delivery | undefined
    const consumer = await broker.consume({
      queues: ['celery'],
      concurrency: 1,
      name: 'celery@slow',
      onDeliveries: ([delivery]) => {
        held = delivery
        seen.push(delivery?.message.headers.id ?? '')
      },
    })
    const { id } = await app.sendTask('tasks.echo', ['long'])
    await until('taken', () => seen.length === 1)
    const takenAt = Date.now()
    // The entry was renewed twice: it is older than the timeout and looks young. A Python worker restores when it starts.
    await until('old enough', () => Date.now() - takenAt > 11_000)
    await celery.worker({ env: { VISIBILITY: '8' } })
    // The Python worker takes the next message, so it is at work.
    const other = await app.sendTask('tasks.echo', ['other'])
    await until('the other ran', () => celery.redis.get(`celery-task-meta-${other.id}`))
    expect(await celery.redis.exists(`celery-task-meta-${id}`)).toBe(0)
    expect(await celery.redis.hlen(`${celery.prefix}unacked`)).toBe(1)
    consumer.finish(held!, null)
    await consumer.close()
    await celery.redis.del(`celery-task-meta-${other.id}`)
    expect(await celery.redis.hlen(`${celery.prefix}unacked`)).toBe(0)
    expect(await broker.depths(['celery'])).toEqual([{ queue: 'celery', ready: 0, running: 0 }])
    await broker.close()
  })
})
