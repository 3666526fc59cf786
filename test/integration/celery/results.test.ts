import { connect } from 'amqplib'
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest'
import type { AsyncResult } from '../../../src/app/results/handles.ts'
import type { TaskError } from '../../../src/app/results/task-error.ts'
import { startOutboxRelay } from '../../../src/broker/outbox/relay.ts'
import { replyAddress } from '../../../src/broker/reply-address.ts'
import { createLog, silentLog } from '../../../src/log.ts'
import { createCeleryAmqp } from '../../support/celery-amqp.ts'
import { type Ours, openOurs, openOursOnRedis } from '../../support/celery-ours.ts'
import type { CeleryProcesses } from '../../support/celery-process.ts'
import { type CeleryRedis, createCeleryRedis } from '../../support/celery-redis.ts'
import { createTestSchema, type TestSchema } from '../../support/database.ts'
import { lacks } from '../../support/lacks.ts'
import { createTestVhost, rabbitmqctl, type TestVhost } from '../../support/rabbit.ts'
import { until } from '../../support/until.ts'

const server = inject('amqpUrl')
const WAIT = { timeoutMs: 15_000 }

const failure = (run: AsyncResult) =>
  run.get(WAIT).then(
    (value) => expect.fail(`returned ${value}`),
    (error: TaskError) => error,
  )

/** The results of Python workers that our client receives, by either transport. */
function sharedCases(ours: () => Ours) {
  const send = (task: string, args: unknown[] = [], options: object = {}) => ours().app.sendTask(task, args, options)

  it.each([
    ['a number', 'tasks.echo', [7], 7],
    ['text in several scripts', 'tasks.echo', ['Grüße, 世界, \u{1F980}'], 'Grüße, 世界, \u{1F980}'],
    ['a megabyte', 'tasks.echo', ['x'.repeat(1 << 20)], 'x'.repeat(1 << 20)],
    ['None as null', 'tasks.echo', [null], null],
    ['NaN as null', 'tasks.not_a_number', [], [null, 1]],
    ['the result of a second attempt', 'tasks.twice', [], 'second'],
    ['the result of a task that reported progress', 'tasks.progress', [], 'done'],
  ])('receives %s from a Python worker', async (_name, task, args, value) => {
    expect(await (await send(task, args)).get(WAIT)).toEqual(value)
  })

  it('receives the exception of a Python task with its stack', async () => {
    const error = await failure(await send('tasks.fail', ['boom']))
    expect(error).toMatchObject({ name: 'TaskError', state: 'FAILURE', excType: 'ValueError' })
    expect(error.message).toContain('boom')
    expect(error.traceback).toContain('python_app.py')
  })

  it('receives a failure for a value that JavaScript cannot represent', async () => {
    const error = await failure(await send('tasks.big'))
    expect(error).toMatchObject({ name: 'TaskError', excType: 'DecodeError' })
    expect(error.message).toContain('18446744073709551617')
  })

  it('receives NotRegistered for a task that is unknown to Python', async () => {
    const error = await failure(await send('tasks.unknown'))
    expect(error).toMatchObject({ name: 'TaskError', excType: 'NotRegistered' })
  })

  it('stores the task, queue, times and worker of a result for the console', async () => {
    const run = await send('tasks.echo', ['known'])
    await run.get(WAIT)
    const stored = await run.info()
    expect(stored).toMatchObject({ task: 'tasks.echo', state: 'SUCCESS', queue: 'celery', result: 'known' })
    expect(stored?.startedAt).toBeInstanceOf(Date)
    expect(stored?.doneAt).toBeInstanceOf(Date)
    expect(stored?.worker).toContain('@')
  })

  it('reads the state STARTED of a running Python task', async () => {
    const run = await send('tasks.slow', [1])
    await until('started', async () => (await run.state()) === 'STARTED')
    expect(await run.get(WAIT)).toBe(1)
  })

  it('receives the result of a task that waited in the outbox', async () => {
    const relay = await startOutboxRelay(ours().database, ours().broker, silentLog())
    const run = await send('tasks.echo', ['later'], { countdown: 0.2 })
    expect(await run.get(WAIT)).toBe('later')
    await relay.stop()
  })

  it('keeps the first of two final outcomes', async () => {
    const run = await send('tasks.echo', ['first'])
    await run.get(WAIT)
    await (await send('tasks.echo', ['second'], { taskId: run.id })).get(WAIT)
    await (await send('tasks.echo', ['after it'])).get(WAIT)
    expect(await run.get(WAIT)).toBe('first')
  })
}

describe.skipIf(lacks('amqp', 'celery'))('our client with results of Python workers by rpc:// (RESULT_COLLECT=on)', () => {
  let vhost: TestVhost
  let schema: TestSchema
  let celery: CeleryProcesses
  let ours: Ours
  let env: Record<string, string>

  beforeAll(async () => {
    vhost = await createTestVhost(server!)
    schema = await createTestSchema()
    celery = createCeleryAmqp(vhost.url)
    env = { CLOUDAMQP_URL: vhost.url, RESULT_COLLECT: 'on' }
    ours = await openOurs(schema, env)
    await celery.worker({ env: { TRACK_STARTED: '1' } })
  })
  afterAll(async () => {
    await ours?.close()
    await celery?.close()
    await schema?.drop()
    await vhost?.drop()
  })

  sharedCases(() => ours)

  it('stores a result after the sender of the task ended', async () => {
    const second = await openOurs(schema, env)
    const { id } = await second.app.sendTask('tasks.slow', [0.5])
    await second.close()
    expect(await ours.app.asyncResult(id).get(WAIT)).toBe(0.5)
  })

  it('stores a result that arrived while no process listened', async () => {
    const alone = await createTestSchema()
    const first = await openOurs(alone, env)
    const { id } = await first.app.sendTask('tasks.slow', [0.5])
    const address = await replyAddress(first.database)
    await first.close()
    const raw = await connect(vhost.url)
    const channel = await raw.createChannel()
    await until('the reply', async () => (await channel.checkQueue(address)).messageCount > 0)
    await raw.close()
    const again = await openOurs(alone, env)
    await again.worker({ queues: ['elsewhere'] })
    expect(await again.app.asyncResult(id).get(WAIT)).toBe(0.5)
    await again.close()
    await alone.drop()
  })

  it('receives results after a lost connection', async () => {
    const run = await ours.app.sendTask('tasks.slow', [1])
    await rabbitmqctl('close_all_connections', '-p', vhost.name, 'a test')
    expect(await run.get(WAIT)).toBe(1)
    expect(await (await ours.app.sendTask('tasks.echo', ['back'])).get(WAIT)).toBe('back')
  })

  it('sends tasks although the broker refuses the reply queue, and logs the refusal', async () => {
    const alone = await createTestSchema()
    const lines: string[] = []
    const log = createLog({ level: 'warn', format: 'text' }, { write: (line: string) => void lines.push(line) })
    const refused = await openOurs(alone, env, log)
    const raw = await connect(vhost.url)
    const channel = await raw.createChannel()
    const address = await replyAddress(refused.database)
    await channel.assertQueue(address, { durable: false, exclusive: true })
    await refused.app.sendTask('tasks.echo', ['sent'])
    // The result goes to the owner of the queue.
    await until('the task ran', () => channel.get(address, { noAck: true }))
    expect(lines.filter((line) => line.includes('RabbitMQ refuses the reply queue'))).toHaveLength(1)
    await raw.close()
    await refused.close()
    await alone.drop()
  })

  it('sends no reply to its own application, because the worker has already written the result to the database', async () => {
    const alone = await createTestSchema()
    const quiet = await openOurs(alone, { CLOUDAMQP_URL: vhost.url })
    quiet.app.task('ours.echo', (value: unknown) => value)
    const address = await replyAddress(quiet.database)
    const raw = await connect(vhost.url)
    const channel = await raw.createChannel()
    await channel.assertQueue(address, { exclusive: true })
    const other = await channel.assertQueue('', { exclusive: true })
    const heard: string[] = []
    await channel.consume(other.queue, (message) => heard.push(message?.content.toString() ?? ''), { noAck: true })
    const messages = [address, other.queue].map((reply_to) => ({
      ...quiet.app.message('ours.echo', ['asked'], { queue: 'ours' }),
      properties: { reply_to },
    }))
    await quiet.worker({ queues: ['ours'], concurrency: 1 })
    await quiet.broker.publish(messages)
    await until('the reply to the other application', () => heard.length === 1)
    expect(heard[0]).toContain(messages[1]!.headers.id)
    expect(await quiet.app.asyncResult(messages[0]!.headers.id).get(WAIT)).toBe('asked')
    expect((await channel.checkQueue(address)).messageCount).toBe(0)
    await raw.close()
    await quiet.close()
    await alone.drop()
  })
})

describe.skipIf(lacks('redis', 'celery'))('our client with results of Python workers in Redis (RESULT_COLLECT=on)', () => {
  let schema: TestSchema
  let celery: CeleryRedis
  let ours: Ours

  beforeAll(async () => {
    schema = await createTestSchema()
    celery = await createCeleryRedis()
    ours = openOursOnRedis(schema, celery, { RESULT_COLLECT: 'on', RESULT_MIRROR: 'off' })
    await celery.worker({ env: { TRACK_STARTED: '1' } })
  })
  afterAll(async () => {
    await ours?.close()
    const known =
      (await ours?.database
        .query<{ id: string }>({ name: 'ids', text: 'SELECT id FROM {schema}.task_result' })
        .catch(() => [])) ?? []
    celery?.owns(...known.map(({ id }) => id))
    await celery?.close()
    await schema?.drop()
  })

  sharedCases(() => ours)

  const subscriptions = async () =>
    ((await celery.redis.call('PUBSUB', 'CHANNELS', 'celery-task-meta-*')) as string[]).filter((channel) => channel !== '')

  it('unsubscribes from ended tasks', async () => {
    const run = await ours.app.sendTask('tasks.echo', ['over'])
    await run.get(WAIT)
    await until('unsubscribed', async () => !(await subscriptions()).includes(`celery-task-meta-${run.id}`))
  })

  it('does not store the results of our own worker again', async () => {
    const mirrored = openOursOnRedis(schema, celery, { RESULT_COLLECT: 'on' })
    mirrored.app.task('ours.echo', (value: unknown) => value)
    await mirrored.worker({ queues: ['ours'], name: 'celery@mirrored' })
    const run = await mirrored.app.sendTask('ours.echo', ['own'], { queue: 'ours' })
    expect(await run.get(WAIT)).toBe('own')
    await until('unsubscribed', async () => !(await subscriptions()).includes(`celery-task-meta-${run.id}`))
    expect(await run.info()).toMatchObject({ worker: 'celery@mirrored' })
    await mirrored.close()
  })

  it('looks up the results of tasks that ended while its connection was away', async () => {
    const run = await ours.app.sendTask('tasks.slow', [0.5])
    const killed = (await celery.redis.call('CLIENT', 'LIST', 'TYPE', 'pubsub')) as string
    const line = killed
      .split('\n')
      .find((each) => each.includes('name=onedyno-listening') && each.includes(` db=${celery.url.split('/').at(-1)} `))
    const id = /\bid=(\d+)/.exec(line ?? '')?.[1]
    expect(id).toBeDefined()
    await celery.redis.call('CLIENT', 'KILL', 'ID', id!)
    expect(await run.get(WAIT)).toBe(0.5)
  })
})
