import { afterAll, beforeEach, describe, expect, it } from 'vitest'
import type { Outcome } from '../../../../src/app/outcome.ts'
import type { Broker, Consumer, Delivery } from '../../../../src/broker/broker.ts'
import { createMessage, type Message } from '../../../../src/message/message.ts'
import { BROKERS } from '../../../support/brokers/all.ts'
import type { BrokerFixture } from '../../../support/brokers/fixture.ts'
import { until } from '../../../support/until.ts'

const message = (id: string, options: Partial<Parameters<typeof createMessage>[0]> = {}): Message =>
  createMessage({ id, task: 'tasks.echo', args: [id], ...options })

const succeeded = ({ message }: Delivery): Outcome => ({
  id: message.headers.id,
  task: message.headers.task,
  state: 'SUCCESS',
  result: 'null',
  traceback: null,
  queue: message.queue,
  retries: 0,
  startedAt: Date.now(),
  doneAt: Date.now(),
})

describe.each(BROKERS)('$name as a broker', ({ create, closeAll, isMissing, redeliveredWithinMs }) => {
  let fixture: BrokerFixture
  let broker: Broker
  const consumers: Consumer[] = []

  afterAll(closeAll)
  beforeEach(async ({ skip, onTestFinished }) => {
    skip(isMissing, 'the server does not answer')
    fixture = await create()
    onTestFinished(async () => {
      for (const consumer of consumers.splice(0)) await consumer.close()
      await fixture.close()
    })
    broker = await fixture.open()
  })

  const consume = async (
    on: Broker,
    options: { concurrency?: number; queues?: string[]; run?: (delivery: Delivery, consumer: Consumer) => void } = {},
  ) => {
    const { concurrency = 10, queues = ['celery'], run } = options
    const got: Delivery[] = []
    const early: Delivery[] = []
    let consumer: Consumer | undefined
    const onDeliveries = (deliveries: readonly Delivery[]) => {
      for (const delivery of deliveries) {
        got.push(delivery)
        if (consumer === undefined) early.push(delivery)
        else run?.(delivery, consumer)
      }
    }
    consumer = await on.consume({ queues, concurrency, name: 'celery@test', onDeliveries })
    for (const delivery of early) run?.(delivery, consumer)
    consumers.push(consumer)
    return { consumer, got, ids: () => got.map((delivery) => delivery.message.headers.id) }
  }
  const finish = (delivery: Delivery, consumer: Consumer) => consumer.finish(delivery, succeeded(delivery))

  it('delivers messages that were published before a consumer existed, and does not change them', async () => {
    const sent = createMessage({
      id: 'a',
      task: 'tasks.add',
      args: [1, 'ü\u{1F980}', null, { deep: [true] }],
      kwargs: { k: 'v' },
      priority: 3,
      headers: { custom: { x: 1 } },
    })
    await broker.publish([sent])
    const { got } = await consume(broker)
    await until('one delivery', () => got.length === 1)
    expect(got[0]?.deliveries).toBe(1)
    expect(got[0]?.message).toEqual(sent)
  })

  it('wakes a waiting consumer for a new message', async () => {
    const { got } = await consume(broker)
    const sentAt = performance.now()
    await broker.publish([message('a')])
    await until('one delivery', () => got.length === 1, 900)
    expect(performance.now() - sentAt).toBeLessThan(900)
  })

  it('stores the outcome of a message and removes the message', async () => {
    await broker.publish([message('a'), message('b')])
    const { consumer } = await consume(broker, { run: finish })
    await until('both recorded', async () => (await fixture.recorded()).size === 2)
    await consumer.flush()
    expect(await broker.depths(['celery'])).toEqual([{ queue: 'celery', ready: 0, running: 0 }])
    expect([...(await fixture.recorded()).values()]).toEqual(['SUCCESS', 'SUCCESS'])
  })

  it('acknowledges a message and stores no result if the result is ignored', async () => {
    await broker.publish([message('a')])
    const { consumer, got } = await consume(broker, { run: (delivery, on) => on.finish(delivery, null) })
    await until('one delivery', () => got.length === 1)
    await consumer.flush()
    expect(await broker.depths(['celery'])).toEqual([{ queue: 'celery', ready: 0, running: 0 }])
    expect((await fixture.recorded()).size).toBe(0)
  })

  it('never overwrites a final outcome with a second outcome', async () => {
    await broker.publish([message('same'), message('same')])
    const { got, consumer } = await consume(broker)
    await until('both delivered', () => got.length === 2)
    consumer.finish(got[0]!, succeeded(got[0]!))
    await consumer.flush()
    consumer.finish(got[1]!, { ...succeeded(got[1]!), state: 'FAILURE' })
    await consumer.flush()
    expect(await fixture.recorded()).toEqual(new Map([['same', 'SUCCESS']]))
  })

  it('delivers higher priorities first, and equal priorities in the order of sending', async () => {
    await broker.publish([message('low1'), message('low2'), message('high', { priority: 9 }), message('mid', { priority: 5 })])
    const { ids, got } = await consume(broker, { concurrency: 1, run: (delivery, on) => setImmediate(finish, delivery, on) })
    await until('all delivered', () => got.length === 4)
    expect(ids()).toEqual(['high', 'mid', 'low1', 'low2'])
  })

  it("delivers messages of the consumer's queues and of no other queue", async () => {
    await broker.publish([message('a', { queue: 'one' }), message('b', { queue: 'two' }), message('c', { queue: 'three' })])
    const { ids, got } = await consume(broker, { queues: ['one', 'three'], run: finish })
    await until('two deliveries', () => got.length === 2)
    expect(ids().sort()).toEqual(['a', 'c'])
    expect(await broker.depths(['two'])).toEqual([{ queue: 'two', ready: 1, running: 0 }])
  })

  it('gives a worker with slow tasks no more messages than it has slots, so that another worker gets its share', async () => {
    await broker.publish(Array.from({ length: 20 }, (_, index) => message(`m${index}`)))
    const first = await consume(broker, { concurrency: 4 })
    await until('four deliveries', () => first.got.length === 4)
    const second = await consume(await fixture.open(), { concurrency: 4 })
    await until('four more', () => second.got.length === 4)
    expect(first.got).toHaveLength(4)
    expect(new Set([...first.ids(), ...second.ids()]).size).toBe(8)
  })

  it('delivers a requeued message again, and counts a death only if the requeue asks for it', async () => {
    await broker.publish([message('a')])
    const seen: number[] = []
    await consume(broker, {
      run: (delivery, on) => {
        seen.push(delivery.deliveries)
        if (seen.length === 1) on.requeue(delivery, { counted: false })
        else if (seen.length === 2) on.requeue(delivery, { counted: true })
        else finish(delivery, on)
      },
    })
    await until('recorded', async () => (await fixture.recorded()).size === 1)
    expect(seen).toEqual([1, 1, 2])
  })

  it('delivers the messages of a dead worker to another worker within the time limit of this broker', async () => {
    await broker.publish([message('a'), message('b')])
    const doomed = await fixture.open()
    const first = await consume(doomed)
    consumers.pop()
    await until('both delivered', () => first.got.length === 2)
    const second = await consume(broker, { run: finish })
    const cutAt = performance.now()
    await fixture.cut(doomed)
    await until('both delivered again', () => second.got.length === 2, redeliveredWithinMs + 4000)
    expect(performance.now() - cutAt).toBeLessThan(redeliveredWithinMs)
    expect(second.got.map(({ deliveries }) => deliveries)).toEqual([2, 2])
  })

  it('counts the first death of a worker against every held message, and later deaths only against messages that ran', async () => {
    await broker.publish([message('ran'), message('waited')])
    for (const deliveries of [1, 2]) {
      const doomed = await fixture.open()
      const { got, consumer } = await consume(doomed)
      consumers.pop()
      await until('both delivered', () => got.length === 2)
      expect(got.map((delivery) => delivery.deliveries)).toEqual([deliveries, deliveries])
      if (deliveries === 2) await consumer.begin(got.find((delivery) => delivery.message.headers.id === 'ran')!)
      await fixture.cut(doomed)
    }
    const { got } = await consume(broker)
    await until('both delivered again', () => got.length === 2)
    expect(new Map(got.map((delivery) => [delivery.message.headers.id, delivery.deliveries]))).toEqual(
      new Map([
        ['ran', 3],
        ['waited', 2],
      ]),
    )
  })

  it('delivers the messages of a worker that died while no other worker existed', async () => {
    await broker.publish([message('a')])
    const doomed = await fixture.open()
    const first = await consume(doomed)
    consumers.pop()
    await until('delivered', () => first.got.length === 1)
    await fixture.cut(doomed)
    const second = await consume(await fixture.open(), { run: finish })
    await until('delivered again', () => second.got.length === 1, redeliveredWithinMs + 1000)
  })

  it('keeps a message that cannot run as a dead letter', async () => {
    await broker.publish([message('a')])
    const { consumer, got } = await consume(broker, {
      run: (delivery, on) => on.deadLetter(delivery, { reason: 'no usable id' }),
    })
    await until('delivered', () => got.length === 1)
    await consumer.flush()
    expect(await fixture.deadLetters()).toBe(1)
    expect(await broker.depths(['celery'])).toEqual([{ queue: 'celery', ready: 0, running: 0 }])
  })

  it('claims no message after stop(), and requeues held messages on close()', async () => {
    await broker.publish([message('a')])
    const { consumer, got } = await consume(broker)
    await until('delivered', () => got.length === 1)
    await consumer.stop()
    await broker.publish([message('b')])
    await consumer.close()
    consumers.pop()
    expect(got).toHaveLength(1)
    expect(await broker.depths(['celery'])).toEqual([{ queue: 'celery', ready: 2, running: 0 }])
  })

  it('purges ready messages and keeps the messages of running tasks', async () => {
    await broker.publish([message('a')])
    const { got } = await consume(broker, { concurrency: 1 })
    await until('delivered', () => got.length === 1)
    await broker.publish([message('b'), message('c')])
    expect(await broker.purge('celery')).toBe(2)
    expect(await broker.depths(['celery'])).toEqual([{ queue: 'celery', ready: 0, running: 1 }])
  })

  it('carries a message of a megabyte', async () => {
    const text = 'x'.repeat(1 << 20)
    await broker.publish([message('big', { args: [text] })])
    const { got } = await consume(broker)
    await until('delivered', () => got.length === 1)
    expect(got[0]?.message.body.length).toBeGreaterThan(1 << 20)
  })

  it('delivers thousands of messages of several publishers to several workers, each message once', async () => {
    const total = 5000
    const publishers = [broker, await fixture.open(), await fixture.open()]
    const runs = new Map<string, number>()
    const run = (delivery: Delivery, on: Consumer) => {
      const { id } = delivery.message.headers
      runs.set(id, (runs.get(id) ?? 0) + 1)
      setImmediate(finish, delivery, on)
    }
    await consume(publishers[1]!, { run })
    await consume(publishers[2]!, { run })
    for (let from = 0; from < total; from += 500) {
      await Promise.all(Array.from({ length: 500 }, (_, index) => publishers[index % 3]!.publish([message(`m${from + index}`)])))
    }
    await until('all recorded', async () => (await fixture.recorded()).size === total, 30_000)
    expect(runs.size).toBe(total)
    expect(Math.max(...runs.values())).toBe(1)
  })
})
