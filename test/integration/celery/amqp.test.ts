import { randomUUID } from 'node:crypto'
import { type Channel, type ChannelModel, connect, type Options } from 'amqplib'
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest'
import { type App, createRegistry } from '../../../src/app/app.ts'
import { type AmqpBroker, createAmqpBroker } from '../../../src/broker/amqp/broker.ts'
import { startOutboxRelay } from '../../../src/broker/outbox/relay.ts'
import { createBackend } from '../../../src/commands/backend.ts'
import { keepInOutbox } from '../../../src/database/outbox.ts'
import { createResults, type Results } from '../../../src/database/results.ts'
import { silentLog } from '../../../src/log.ts'
import { createMessage } from '../../../src/message/message.ts'
import { startWorker } from '../../../src/worker/worker.ts'
import { createCeleryAmqp } from '../../support/celery-amqp.ts'
import type { CeleryProcesses, PythonClient } from '../../support/celery-process.ts'
import { createTestSchema, type TestSchema } from '../../support/database.ts'
import { lacks } from '../../support/lacks.ts'
import { createTestVhost, type TestVhost } from '../../support/rabbit.ts'
import { until } from '../../support/until.ts'

const server = inject('amqpUrl')
const MEGABYTE = 'x'.repeat(1 << 20)

/** A virtual host, a schema, real Celery, and our application on one queue. */
async function openAll() {
  const vhost: TestVhost = await createTestVhost(server ?? '')
  const schema: TestSchema = await createTestSchema()
  const celery: CeleryProcesses = createCeleryAmqp(vhost.url)
  const database = schema.open()
  const results: Results = createResults(database)
  const choice = { kind: 'amqp', why: 'test', publishUrl: vhost.url, consumeUrl: vhost.url } as const
  const broker: AmqpBroker = createAmqpBroker(
    database,
    { publishTimeoutMs: 5000, queueType: 'classic', queueMaxPriority: 0, broker: choice },
    { name: 'test', log: silentLog() },
  )
  const app: App = createRegistry(async () => createBackend(database, broker, results))
  const relay = await startOutboxRelay(database, broker, silentLog())
  const raw: ChannelModel = await connect(vhost.url)
  const channel: Channel = await raw.createChannel()
  const close = async () => {
    await relay.stop()
    await broker.close()
    await raw.close()
    await celery.close()
    await schema.drop()
    await vhost.drop()
  }
  return { schema, celery, database, results, broker, app, channel, close }
}

describe.skipIf(lacks('amqp', 'celery'))('our worker on RabbitMQ, called by a Python client,', () => {
  let all: Awaited<ReturnType<typeof openAll>>
  let python: PythonClient
  let python1: PythonClient
  let stop: () => Promise<void>
  const ran: unknown[] = []

  beforeAll(async () => {
    all = await openAll()
    const { app, broker, database } = all
    app.task('tasks.echo', (...args: unknown[]) => {
      ran.push(args[0])
      const last = args.at(-1)
      return args.length > 1 && typeof last === 'object' ? { args: args.slice(0, -1), kwargs: last } : args[0]
    })
    app.task('tasks.fail', (text: string) => {
      throw new RangeError(text)
    })
    app.task('tasks.fail_here', () => {
      throw Object.assign(new Error('only known to us'), { name: 'OurOwnError' })
    })
    const worker = await startWorker({
      ...{ app, broker, log: silentLog(), name: 'celery@ours', queues: ['celery'] },
      ...{ concurrency: 4, maxDeliveries: 3, graceMs: 1000 },
      park: (message, dueAt) => keepInOutbox(database, message, dueAt),
    })
    stop = () => worker.stop()
    python = all.celery.client()
    python1 = all.celery.client({ PROTOCOL: '1' })
  })
  afterAll(async () => {
    await stop?.()
    await all?.close()
  })

  const call = (task: string, args: unknown[] = [], more: object = {}) => python.call({ id: randomUUID(), task, args, ...more })
  const queueIsEmpty = async () => (await all.channel.checkQueue('celery')).messageCount === 0

  it.each([
    ['a number', [7], 7],
    ['text in several scripts', ['Grüße, 世界, \u{1F980}'], 'Grüße, 世界, \u{1F980}'],
    ['a megabyte', [MEGABYTE], MEGABYTE],
    ['null', [null], null],
  ])('returns %s unchanged', async (_name, args, value) => {
    expect(await call('tasks.echo', args)).toMatchObject({ state: 'SUCCESS', value })
  })

  it('receives keyword arguments', async () => {
    const answer = await call('tasks.echo', [1], { kwargs: { key: 'value' } })
    expect(answer.value).toEqual({ args: [1], kwargs: { key: 'value' } })
  })

  it("raises a task's error in the Python client, as the builtin exception of the same name if Python has one", async () => {
    const known = await call('tasks.fail', ['boom'])
    expect(known).toMatchObject({ state: 'FAILURE', error: 'ValueError', module: 'builtins', args: ['boom'] })
    expect(await call('tasks.fail_here')).toMatchObject({ state: 'FAILURE', error: 'OurOwnError', args: ['only known to us'] })
  })

  it('raises NotRegistered in the Python client for an unregistered task', async () => {
    expect(await call('tasks.unknown')).toMatchObject({ state: 'FAILURE', error: 'NotRegistered', args: ['tasks.unknown'] })
  })

  it('does not run an expired task', async () => {
    const expires = new Date(Date.now() - 1000).toISOString().replace('Z', '+00:00')
    await call('tasks.echo', ['late'], { options: { expires }, timeout: 1 })
    expect(await call('tasks.echo', ['after'])).toMatchObject({ value: 'after' })
    expect(ran).not.toContain('late')
  })

  it.each([
    ['a countdown', () => ({ countdown: 1 })],
    ['an eta', () => ({ eta: new Date(Date.now() + 1000).toISOString().replace('Z', '+00:00') })],
    ['an eta without a zone', () => ({ eta: new Date(Date.now() + 1000).toISOString().replace('Z', '') })],
  ])('keeps a message with %s in the outbox until it is due', async (_name, options) => {
    const sentAt = Date.now()
    const answer = call('tasks.echo', ['waited'], { options: options() })
    await until(
      'message in the outbox',
      async () => (await all.database.query({ name: 'o', text: 'SELECT FROM {schema}.outbox' })).length === 1,
    )
    expect(await answer).toMatchObject({ value: 'waited' })
    expect(Date.now() - sentAt).toBeGreaterThan(900)
  })

  it('accepts a message with a priority', async () =>
    expect(await call('tasks.echo', ['prior'], { options: { priority: 7 } })).toMatchObject({ value: 'prior' }))

  it('leaves neither a result nor a message if the result is ignored', async () => {
    const id = randomUUID()
    await python.call({ id, task: 'tasks.echo', args: ['ignored'], options: { ignore_result: true }, timeout: 0.5 })
    await until('task run', () => ran.includes('ignored'))
    await until('acknowledged', queueIsEmpty)
    expect(await all.results.find(id)).toBeUndefined()
  })

  it('accepts messages of protocol 1', async () => {
    const answer = await python1.call({ id: randomUUID(), task: 'tasks.echo', args: ['one'], kwargs: { k: 1 } })
    expect(answer).toMatchObject({ state: 'SUCCESS', value: { args: ['one'], kwargs: { k: 1 } } })
  })

  it('accepts zlib compression', async () =>
    expect(await call('tasks.echo', ['small'], { options: { compression: 'zlib' } })).toMatchObject({ value: 'small' }))

  it("refuses pickle with Celery's error ContentDisallowed, replies to the client, and continues", async () => {
    const answer = await call('tasks.echo', ['pickled'], { options: { serializer: 'pickle' } })
    expect(answer).toMatchObject({ state: 'FAILURE', error: 'ContentDisallowed' })
    expect(answer.args).toEqual(['Refusing to deserialize untrusted content of type pickle (application/x-python-serialize)'])
    expect(ran).not.toContain('pickled')
    expect(await call('tasks.echo', ['alive'])).toMatchObject({ value: 'alive' })
  })

  // Messages that end a real Celery worker, or that it rejects (docs/internals/wire-protocol.md).
  const json = { contentType: 'application/json', contentEncoding: 'utf-8' }
  it.each([
    ['a body that is not JSON', 'hello', json, 'InvalidTaskError'],
    ['a body that is an object', '{"a":1}', json, 'InvalidTaskError'],
    ['a body with two elements', '[[],{}]', json, 'InvalidTaskError'],
    ['kwargs that are a list', '[[],[],{}]', json, 'InvalidTaskError'],
    ['an eta that is not a time', '[[1],{},{}]', { ...json, headers: { eta: 'tomorrow' } }, 'InvalidTaskError'],
    ['expires as a number', '[[1],{},{}]', { ...json, headers: { expires: 12345 } }, 'InvalidTaskError'],
    ['an unknown compression', '[[1],{},{}]', { ...json, headers: { compression: 'application/x-bz2' } }, 'DecodeError'],
    ['a YAML body', '- 1', { contentType: 'application/x-yaml' }, 'ContentDisallowed'],
  ])(
    'stores a FAILURE for a message with %s, and continues',
    async (_name, body, { headers, ...properties }: Options.Publish, name) => {
      const id = randomUUID()
      all.channel.sendToQueue('celery', Buffer.from(body), { ...properties, headers: { ...headers, id, task: 'tasks.echo' } })
      const stored = await until('outcome stored', () => all.results.find(id))
      expect(stored).toMatchObject({ state: 'FAILURE', result: { exc_type: name } })
      await until('queue empty', queueIsEmpty)
    },
  )

  it.each([
    ['no content type', '[["typeless"],{},{}]', {}, 'typeless'],
    ['null as its embed', '[["null"],{},null]', json, 'null'],
    ['NaN as an argument', '[[NaN],{},{}]', json, Number.NaN],
  ])('runs a message with %s', async (_name, body, properties, value) => {
    const id = randomUUID()
    all.channel.sendToQueue('celery', Buffer.from(body), { ...properties, headers: { id, task: 'tasks.echo' } })
    await until('task run', () => ran.some((each) => Object.is(each, value)))
  })

  it.each([
    ['no id', '[[1],{},{}]', { ...json, headers: { task: 'tasks.echo' } }],
    ['no headers and a body that is not JSON', 'hello', json],
    ['no task name in its headers or body', '{"hello":1}', json],
  ])('stores a message with %s as a dead letter, and continues', async (_name, body, properties) => {
    const letters = async () => (await all.database.query({ name: 'l', text: 'SELECT FROM {schema}.dead_letter' })).length
    const before = await letters()
    all.channel.sendToQueue('celery', Buffer.from(body), properties)
    await until('dead letter', async () => (await letters()) === before + 1)
    expect(await call('tasks.echo', ['alive'])).toMatchObject({ value: 'alive' })
  })
})

describe.skipIf(lacks('amqp', 'celery'))('our client on RabbitMQ, with a Python worker,', () => {
  let all: Awaited<ReturnType<typeof openAll>>
  const replies = new Map<string, Record<string, unknown>>()
  let replyTo: string

  beforeAll(async () => {
    all = await openAll()
    await all.celery.worker()
    replyTo = (await all.channel.assertQueue('', { exclusive: true })).queue
    await all.channel.consume(
      replyTo,
      (message) => {
        const reply = JSON.parse(message?.content.toString() ?? '{}')
        replies.set(reply.task_id, reply)
      },
      { noAck: true },
    )
  })
  afterAll(() => all?.close())

  const send = async (task: string, args: unknown[], options: object = {}) => {
    const message = createMessage({ id: randomUUID(), task, args, ...options })
    await all.broker.publish([{ ...message, properties: { reply_to: replyTo } }])
    return until('a reply', () => replies.get(message.headers.id))
  }

  it.each([
    ['a number', [7], {}, 7],
    ['text in several scripts', ['Grüße, 世界, \u{1F980}'], {}, 'Grüße, 世界, \u{1F980}'],
    ['a megabyte', [MEGABYTE], {}, MEGABYTE],
    ['keyword arguments', [1], { kwargs: { key: 'value' } }, { args: [1], kwargs: { key: 'value' } }],
    ['any priority', [9], { priority: 200 }, 9],
    ['an eta in the past', [2], { eta: new Date() }, 2],
    ['an expiry in the future', [3], { expires: new Date(Date.now() + 60_000) }, 3],
  ])('runs a Python task with %s', async (_name, args, options, value) => {
    expect(await send('tasks.echo', args, options)).toMatchObject({ status: 'SUCCESS', result: value })
  })

  it('receives the exception that a Python task raised', async () => {
    const result = { exc_type: 'ValueError', exc_message: ['boom'], exc_module: 'builtins' }
    expect(await send('tasks.fail', ['boom'])).toMatchObject({ status: 'FAILURE', result })
  })

  it('receives NotRegistered for a task that is unknown to Python', async () => {
    expect(await send('tasks.unknown', [])).toMatchObject({ status: 'FAILURE', result: { exc_type: 'NotRegistered' } })
  })

  it('keeps a message with a countdown in the outbox until it is due', async () => {
    const sentAt = Date.now()
    const message = all.app.message('tasks.echo', ['later'], { countdown: 1 })
    await keepInOutbox(all.database, { ...message, properties: { reply_to: replyTo } }, new Date(sentAt + 1000))
    const reply = await until('a reply', () => replies.get(message.headers.id))
    expect(reply).toMatchObject({ status: 'SUCCESS', result: 'later' })
    expect(Date.now() - sentAt).toBeGreaterThan(900)
  })
})
