import { type Channel, type ChannelModel, connect } from 'amqplib'
import { pino } from 'pino'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, inject, it, onTestFinished } from 'vitest'
import { createAmqpBroker } from '../../../src/broker/amqp/broker.ts'
import { startOutboxRelay } from '../../../src/broker/outbox/relay.ts'
import type { Database } from '../../../src/database/database.ts'
import { createTestSchema, type TestSchema } from '../../support/database.ts'
import { createTestVhost, type TestVhost } from '../../support/rabbit.ts'
import { until } from '../../support/until.ts'

const server = inject('amqpUrl')
const PUBLISH_TIMEOUT_MS = 10_000
/** More messages than one pass of the relay takes. */
const REFUSED = 1200

describe.skipIf(server === undefined)('the outbox in front of RabbitMQ', () => {
  let vhost: TestVhost
  let raw: ChannelModel
  let channel: Channel
  let schema: TestSchema
  let database: Database
  let lines: Record<string, unknown>[]

  beforeAll(async () => {
    vhost = await createTestVhost(server ?? '')
    raw = await connect(vhost.url)
    channel = await raw.createChannel()
  })
  afterAll(async () => {
    await raw.close()
    await vhost.drop()
  })
  beforeEach(async () => {
    schema = await createTestSchema()
    database = schema.open()
    lines = []
  })
  afterEach(() => schema.drop())

  const relay = async () => {
    const log = pino({ level: 'info' }, { write: (line: string) => void lines.push(JSON.parse(line)) })
    const config = {
      publishTimeoutMs: PUBLISH_TIMEOUT_MS,
      queueType: 'classic',
      queueMaxPriority: 10,
      broker: { kind: 'amqp', why: 'test', publishUrl: vhost.url, consumeUrl: vhost.url },
    } as const
    const broker = createAmqpBroker(database, config, { name: 'test', log })
    const loop = await startOutboxRelay(database, broker, log)
    onTestFinished(async () => {
      await loop.stop()
      await broker.close()
    })
    return broker
  }
  const keep = (queue: string, count: number, agoSeconds: number) =>
    database.query(
      {
        name: 'keep',
        text: `INSERT INTO {schema}.outbox (task_id, queue, task, body, due_at) SELECT $1::text || '-' || n, $1, 'tasks.echo', '[[],{},{}]',
             now() - $3 * interval '1 second' + n * interval '1 millisecond' FROM generate_series(1, $2::int) AS n`,
      },
      [queue, count, agoSeconds],
    )
  const kept = async () => {
    const rows = await database.query<{ task_id: string; queue: string }>({
      name: 'kept',
      text: 'SELECT task_id, queue FROM {schema}.outbox ORDER BY due_at',
    })
    return rows.map(({ task_id }) => task_id)
  }
  const due = async (queue: string) => {
    const text = 'SELECT count(*)::int AS count FROM {schema}.outbox WHERE queue = $1 AND due_at <= now()'
    return (await database.query<{ count: number }>({ name: 'due', text }, [queue]))[0]?.count
  }
  const warned = (queue: string) => lines.filter((line) => line.queue === queue && line.level === 40)

  it('publishes messages for other queues in order although RabbitMQ refuses one queue, and logs the refusal once', async () => {
    await keep('amq.reserved', REFUSED, 10)
    await keep('celery', 3, 5)
    onTestFinished(async () => void (await channel.deleteQueue('celery')))
    const since = performance.now()
    const broker = await relay()
    await until('published', async () => (await broker.depths(['celery']))[0]?.ready === 3)
    expect(performance.now() - since).toBeLessThan(PUBLISH_TIMEOUT_MS / 4)
    await until('all of them are put off', async () => (await due('amq.reserved')) === 0)
    expect(await kept()).toEqual(Array.from({ length: REFUSED }, (_, at) => `amq.reserved-${at + 1}`))
    expect(warned('amq.reserved')).toMatchObject([{ reason: expect.stringContaining('amq.reserved') }])
  })

  it('publishes messages for other queues while one queue is full, and messages for the full queue when it has room', async () => {
    await channel.assertQueue('full', { durable: true, arguments: { 'x-max-length': 1, 'x-overflow': 'reject-publish' } })
    await keep('full', 3, 10)
    await keep('celery', 3, 5)
    onTestFinished(async () => {
      await channel.deleteQueue('full')
      await channel.deleteQueue('celery')
    })
    const since = performance.now()
    const broker = await relay()
    await until('published', async () => (await broker.depths(['celery']))[0]?.ready === 3)
    expect(performance.now() - since).toBeLessThan(PUBLISH_TIMEOUT_MS / 4)
    for (const left of [2, 1, 0]) {
      await until(`${left} are left`, async () => (await kept()).length === left)
      expect((await channel.get('full', { noAck: true })) || undefined).toBeDefined()
    }
    expect(warned('full')).toMatchObject([{ reason: expect.stringContaining('full') }])
  })
})
