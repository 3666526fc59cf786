import { type Channel, type ChannelModel, connect } from 'amqplib'
import { afterAll, afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { Broker, Delivery } from '../../../src/broker/broker.ts'
import { keepInOutbox } from '../../../src/database/outbox.ts'
import { createMessage } from '../../../src/message/message.ts'
import { type AmqpFixture, createAmqpFixture, dropSharedVhost } from '../../support/brokers/amqp.ts'
import { lacks } from '../../support/lacks.ts'
import { until } from '../../support/until.ts'

describe.skipIf(lacks('amqp'))('the RabbitMQ broker with unusual settings or messages', () => {
  let fixture: AmqpFixture
  let raw: ChannelModel
  let channel: Channel
  afterAll(dropSharedVhost)
  beforeEach(async () => {
    fixture = await createAmqpFixture({ publishTimeoutMs: 1000 })
    raw = await connect(fixture.url)
    channel = await raw.createChannel()
  })
  afterEach(async () => {
    await raw.close()
    await fixture.close()
  })
  const message = (id: string) => createMessage({ id, task: 'tasks.echo', args: [] })
  const collect = async (broker: Broker) => {
    const ids: string[] = []
    const onDeliveries = (deliveries: readonly Delivery[]) => void ids.push(...deliveries.map((each) => each.message.headers.id))
    const consumer = await broker.consume({ queues: ['celery'], concurrency: 10, name: 'celery@test', onDeliveries })
    return { consumer, ids }
  }

  it.each([
    ['a quorum queue', { durable: true, arguments: { 'x-queue-type': 'quorum' } }],
    ['a queue with other arguments', { durable: true, arguments: { 'x-max-length': 1000 } }],
    ['a queue that is not durable', { durable: false }],
  ])('uses an existing queue as it is: %s', async (_name, options) => {
    await channel.assertQueue('celery', options)
    const broker = await fixture.open()
    await broker.publish([message('a')])
    const { consumer, ids } = await collect(broker)
    await until('delivered', () => ids.length === 1)
    await consumer.close()
  })

  it('carries ids of 255 multi-byte characters', async () => {
    const broker = await fixture.open()
    const ids = ['a'.repeat(255), 'ü'.repeat(255), '任務'.repeat(127), '🜚'.repeat(127)]
    await broker.publish(ids.map(message))
    const got = await collect(broker)
    await until('delivered', () => got.ids.length === ids.length)
    expect(new Set(got.ids)).toEqual(new Set(ids))
    await got.consumer.close()
  })

  it.each([
    ['a header with a name of 300 bytes', createMessage({ id: 'bad', task: 't', args: [], headers: { ['k'.repeat(300)]: 1 } })],
    ['a queue with a name of 300 bytes', createMessage({ id: 'bad', task: 't', args: [], queue: 'q'.repeat(300) })],
  ])('refuses %s, and accepts the messages that were sent together with it', async (_name, bad) => {
    const broker = await fixture.open()
    const sent = await Promise.allSettled([broker.publish([bad]), broker.publish([message('a')])])
    expect(sent).toMatchObject([{ status: 'rejected', reason: { code: 'MESSAGE_REFUSED' } }, { status: 'fulfilled' }])
    await keepInOutbox(fixture.database, bad, new Date(1))
    await keepInOutbox(fixture.database, message('b'), new Date(2))
    expect(await broker.relayDue(10)).toEqual({ moved: 2, nextDueMs: null })
    const { consumer, ids } = await collect(broker)
    await until('delivered', () => ids.length === 2)
    const kept = await fixture.database.query({ name: 'kept', text: 'SELECT task_id, reason FROM {schema}.dead_letter' })
    expect(kept).toEqual([{ task_id: 'bad', reason: expect.stringContaining('RabbitMQ cannot carry it') }])
    await consumer.close()
  })

  it('refuses a message that AMQP cannot carry, also during an outage, and does not count the refusal as an outage', async () => {
    const broker = await fixture.open()
    const refused = (id: string) =>
      expect(broker.publish([createMessage({ id, task: 't', args: [], queue: 'q'.repeat(300) })])).rejects.toMatchObject({
        code: 'MESSAGE_REFUSED',
      })
    const kept = () => fixture.database.query({ name: 'kept', text: 'SELECT task_id FROM {schema}.outbox ORDER BY task_id' })
    await refused('r1')
    await broker.publish([message('a')])
    expect(await kept(), 'straight to RabbitMQ').toEqual([])
    fixture.proxyOf(broker).shut()
    await broker.publish([message('b')])
    await refused('r2')
    const both = broker.publish([
      message('c'),
      createMessage({ id: 'r3', task: 't', args: [], headers: { ['k'.repeat(300)]: 1 } }),
    ])
    await expect(both).rejects.toMatchObject({ code: 'MESSAGE_REFUSED' })
    expect(await kept()).toEqual([{ task_id: 'b' }, { task_id: 'c' }])
    fixture.proxyOf(broker).open()
  })

  it('does not delay messages for other queues when RabbitMQ refuses one queue', async () => {
    const broker = await fixture.open()
    const refused = broker.publish([createMessage({ id: 'r', task: 't', args: [], queue: 'amq.reserved' })])
    await broker.publish([message('a')])
    const { consumer, ids } = await collect(broker)
    await until('delivered', () => ids.length === 1)
    await refused
    const kept = await fixture.database.query({ name: 'kept', text: 'SELECT task_id FROM {schema}.outbox' })
    expect(kept).toEqual([{ task_id: 'r' }])
    await consumer.close()
  })

  it('leaves expired messages in the queue, so that a worker can store why they did not run', async () => {
    const broker = await fixture.open()
    const expires = new Date(Date.now() + 50)
    await broker.publish([createMessage({ id: 'late', task: 'tasks.echo', args: [], expires }), message('after')])
    await until('expired', () => Date.now() > expires.getTime() + 100)
    const { consumer, ids } = await collect(broker)
    await until('delivered', () => ids.length > 0)
    expect(ids[0]).toBe('late')
    await consumer.close()
  })

  it('declares the queue again when it is deleted while a consumer and a publisher use it', async () => {
    const broker = await fixture.open()
    await broker.publish([message('a')])
    const { consumer, ids } = await collect(broker)
    await until('delivered', () => ids.length === 1)
    await channel.deleteQueue('celery')
    await broker.publish([message('b')])
    await until('delivered', () => ids.length === 2)
    await consumer.close()
  })

  it.each([
    ['before it is connected', () => {}],
    ['while RabbitMQ is away', (broker: Broker) => fixture.proxyOf(broker).shut()],
  ])('stops a consumer at once %s', async (_name, prepare) => {
    const broker = await fixture.open()
    prepare(broker)
    const { consumer } = await collect(broker)
    const askedAt = performance.now()
    await consumer.close()
    expect(performance.now() - askedAt).toBeLessThan(2000)
  })

  it('keeps a message in the outbox when its queue is full', async () => {
    await channel.assertQueue('celery', { durable: true, arguments: { 'x-max-length': 1, 'x-overflow': 'reject-publish' } })
    const broker = await fixture.open()
    await broker.publish([message('a')])
    await broker.publish([message('b'), message('c')])
    expect(await broker.depths(['celery'])).toEqual([{ queue: 'celery', ready: 1, running: 0 }])
    await broker.purge('celery')
    await broker.relayDue(1)
    expect(await broker.depths(['celery'])).toEqual([{ queue: 'celery', ready: 1, running: 0 }])
  })
})
