import { afterAll, afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { Outcome } from '../../../src/app/outcome.ts'
import type { Broker, Consumer, Delivery } from '../../../src/broker/broker.ts'
import { createMessage, type Message } from '../../../src/message/message.ts'
import { type AmqpFixture, createAmqpFixture, dropSharedVhost } from '../../support/brokers/amqp.ts'
import { lacks } from '../../support/lacks.ts'
import { until } from '../../support/until.ts'

const messages = (count: number, prefix = 'm', body: unknown = null): Message[] =>
  Array.from({ length: count }, (_, index) => createMessage({ id: `${prefix}${index}`, task: 'tasks.echo', args: [body] }))

const succeeded = ({ message }: Delivery): Outcome => {
  const { id, task } = message.headers
  const now = Date.now()
  return { id, task, state: 'SUCCESS', result: 'null', traceback: null, queue: 'celery', retries: 0, startedAt: now, doneAt: now }
}

describe.skipIf(lacks('amqp'))('the RabbitMQ broker with a broken connection', () => {
  let fixture: AmqpFixture
  const consumers: Consumer[] = []
  afterAll(dropSharedVhost)
  beforeEach(async () => {
    fixture = await createAmqpFixture({ publishTimeoutMs: 2000 })
  })
  afterEach(async () => {
    for (const consumer of consumers.splice(0)) await consumer.close()
    await fixture.close()
  })

  /** Runs every delivery. */
  const runAll = async (broker: Broker, concurrency = 10) => {
    const ran = new Map<string, number>()
    let consumer: Consumer | undefined
    const early: Delivery[] = []
    const run = (delivery: Delivery) => {
      if (consumer === undefined) return void early.push(delivery)
      const { id } = delivery.message.headers
      ran.set(id, (ran.get(id) ?? 0) + 1)
      setImmediate(() => consumer?.finish(delivery, succeeded(delivery)))
    }
    const onDeliveries = (deliveries: readonly Delivery[]) => deliveries.forEach(run)
    consumer = await broker.consume({ queues: ['celery'], concurrency, name: 'celery@test', onDeliveries })
    consumers.push(consumer)
    early.forEach(run)
    return ran
  }
  const recordedAll = (count: number) => async () => (await fixture.recorded()).size === count
  const empty = async (broker: Broker) => {
    const [depth] = await broker.depths(['celery'])
    return depth?.ready === 0 && depth.running === 0
  }

  it('loses no message when the connection breaks repeatedly while a process publishes', async () => {
    const broker = await fixture.open()
    const proxy = fixture.proxyOf(broker)
    let cuts = 0
    const cutLater = () =>
      proxy.afterBytesUp(40_000, () => {
        proxy.cut()
        if (++cuts < 5) cutLater()
      })
    cutLater()
    for (let part = 0; part < 10; part++) await broker.publish(messages(200, `p${part}-`, 'x'.repeat(100)))
    expect(cuts).toBe(5)
    const reader = await fixture.open()
    await runAll(reader)
    await until('all recorded', recordedAll(2000))
  })

  it('stores the outcome of every task when the connection breaks repeatedly while a worker consumes', async () => {
    const publisher = await fixture.open()
    await publisher.publish(messages(3000))
    const broker = await fixture.open()
    const ran = await runAll(broker)
    for (const share of [100, 700, 1400, 2100, 2700]) {
      await until(`${share} ran`, () => ran.size >= share)
      fixture.proxyOf(broker).cut()
    }
    await until('all recorded', recordedAll(3000), 30_000)
    await until('nothing left', () => empty(broker))
    expect(ran.size).toBe(3000)
  })

  it('acknowledges messages whose tasks finished while the connection was broken, and does not run these tasks again', async () => {
    const broker = await fixture.open()
    await broker.publish(messages(5))
    const got: Delivery[] = []
    const options = { queues: ['celery'], concurrency: 10, name: 'celery@test' }
    const onDeliveries = (deliveries: readonly Delivery[]) => void got.push(...deliveries)
    const consumer = await broker.consume({ ...options, onDeliveries })
    consumers.push(consumer)
    await until('delivered', () => got.length === 5)
    fixture.proxyOf(broker).shut()
    for (const delivery of got) consumer.finish(delivery, succeeded(delivery))
    await until('recorded', recordedAll(5))
    fixture.proxyOf(broker).open()
    await until('acknowledged', () => empty(broker))
    expect(got).toHaveLength(5)
  })

  it('counts no death when a living worker loses its connection repeatedly', async () => {
    const unlucky = await fixture.open()
    const other = await fixture.open()
    await unlucky.publish(messages(6))
    const got: Delivery[] = []
    let owner: Consumer | undefined
    const hold = async (broker: Broker, concurrency: number, onDelivery: (delivery: Delivery) => void) => {
      const onDeliveries = (deliveries: readonly Delivery[]) => deliveries.forEach(onDelivery)
      const consumer = await broker.consume({ queues: ['celery'], concurrency, name: 'celery@test', onDeliveries })
      consumers.push(consumer)
      return consumer
    }
    await hold(unlucky, 6, (delivery) => void got.push(delivery))
    await until('six delivered', () => got.length === 6)
    for (const round of [2, 3]) {
      fixture.proxyOf(unlucky).cut()
      await until('six again', () => got.length === 6 * round)
    }
    expect(new Set(got.map(({ deliveries }) => deliveries))).toEqual(new Set([1]))
    // Another worker may see a death first. The living worker takes it back as soon as its note is written.
    owner = await hold(other, 6, (delivery) => {
      if (delivery.deliveries > 1) setImmediate(() => owner?.requeue(delivery, { counted: false }))
      else setImmediate(() => owner?.finish(delivery, succeeded(delivery)))
    })
    fixture.proxyOf(unlucky).shut()
    await until('all recorded by the other one, with no death on their record', recordedAll(6))
  })

  it('keeps messages while RabbitMQ is away, and publishes the messages when RabbitMQ is back', async () => {
    const broker = await fixture.open()
    await broker.publish(messages(1, 'before'))
    fixture.proxyOf(broker).shut()
    await broker.publish(messages(3, 'away'))
    fixture.proxyOf(broker).open()
    await until('back', async () => (await broker.relayDue(10).catch(() => undefined))?.moved === 3)
    const reader = await fixture.open()
    await runAll(reader)
    await until('all recorded', recordedAll(4))
  })

  it('gives a slow consumer only its share of a hundred thousand messages', async () => {
    const broker = await fixture.open()
    for (let part = 0; part < 20; part++) await broker.publish(messages(5000, `q${part}-`))
    const [depth] = await broker.depths(['celery'])
    expect(depth?.ready).toBe(100_000)
    const got: Delivery[] = []
    const onDeliveries = (deliveries: readonly Delivery[]) => void got.push(...deliveries)
    const consumer = await broker.consume({ queues: ['celery'], concurrency: 3, name: 'celery@slow', onDeliveries })
    await until('three', () => got.length === 3)
    consumer.finish(got[0]!, null)
    await until('more', () => got.length > 3)
    await consumer.close()
    expect(await broker.purge('celery')).toBe(99_999)
  })
})
