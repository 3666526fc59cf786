import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { type ChaosRabbit, hasRabbit, startRabbit } from '../../../bench/chaos-servers.ts'
import { type AmqpBroker, createAmqpBroker } from '../../../src/broker/amqp/broker.ts'
import type { Consumer, Delivery } from '../../../src/broker/broker.ts'
import { type OutboxRelay, startOutboxRelay } from '../../../src/broker/outbox/relay.ts'
import type { Database } from '../../../src/database/database.ts'
import { createLog } from '../../../src/log.ts'
import { createMessage } from '../../../src/message/message.ts'
import { createTestSchema, type TestSchema } from '../../support/database.ts'
import { until } from '../../support/until.ts'

const PUBLISH_TIMEOUT_MS = 700
const message = (id: string) => createMessage({ id, task: 'tasks.echo', args: [] })

/** This file has its own server, because an alarm blocks the whole server. */
describe.skipIf(!hasRabbit())('RabbitMQ with a memory alarm', () => {
  let rabbit: ChaosRabbit
  let schema: TestSchema
  let reader: Database
  let broker: AmqpBroker
  let relay: OutboxRelay
  let lines: string[]
  let consumer: Consumer | undefined

  beforeAll(async () => {
    rabbit = await startRabbit()
    await rabbit.ctl('await_startup')
  }, 120_000)
  afterAll(() => rabbit?.stop())

  beforeEach(async () => {
    schema = await createTestSchema()
    reader = schema.open()
    lines = []
    const log = createLog({ level: 'info', format: 'json' }, { write: (line) => void lines.push(line) })
    const choice = { kind: 'amqp', why: 'test', publishUrl: rabbit.url, consumeUrl: rabbit.url } as const
    const config = { publishTimeoutMs: PUBLISH_TIMEOUT_MS, queueType: 'classic', queueMaxPriority: 0, broker: choice } as const
    broker = createAmqpBroker(schema.open(), config, { name: 'worker', log })
    relay = await startOutboxRelay(schema.open(), broker, log)
  })
  afterEach(async () => {
    await alarm(false)
    await relay.stop()
    await consumer?.close()
    consumer = undefined
    await broker.close()
    await rabbit.ctl('purge_queue', 'celery')
    await schema.drop()
  })

  const alarm = (on: boolean) => rabbit.ctl('set_vm_memory_high_watermark', on ? '0.00001' : '0.9')
  const said = (words: string) => lines.filter((line) => line.includes(words)).length
  const count = async (table: string) =>
    (await reader.query({ name: `count-${table}`, text: `SELECT FROM {schema}.${table}` })).length
  const connections = async () =>
    (await rabbit.ctl('list_connections', 'name')).split('\n').filter((line) => line.includes('->')).length

  /** Runs at most two tasks at a time and holds them until `go`. */
  const consume = async () => {
    const held: Delivery[] = []
    let going = false
    const finish = (delivery: Delivery) => {
      const { id, task } = delivery.message.headers
      const times = { startedAt: Date.now(), doneAt: Date.now() }
      consumer?.finish(delivery, {
        id,
        task,
        state: 'SUCCESS',
        result: 'null',
        traceback: null,
        queue: 'celery',
        retries: 0,
        ...times,
      })
    }
    const onDeliveries = (deliveries: readonly Delivery[]) => {
      for (const delivery of deliveries) {
        if (going) setTimeout(finish, 20, delivery)
        else held.push(delivery)
      }
    }
    consumer = await broker.consume({ queues: ['celery'], concurrency: 2, name: 'celery@test', onDeliveries })
    await until('two held', () => held.length === 2)
    return () => {
      going = true
      held.forEach(finish)
    }
  }

  it('still delivers queued messages, while new messages wait in the outbox until the alarm ends', async () => {
    await broker.publish(Array.from({ length: 40 }, (_, index) => message(`m${index}`)))
    const go = await consume()
    for (const round of [1, 2]) {
      await alarm(true)
      const askedAt = performance.now()
      await broker.publish([message(`first${round}`)])
      expect(performance.now() - askedAt).toBeGreaterThanOrEqual(PUBLISH_TIMEOUT_MS - 5)
      expect(await count('outbox')).toBe(1)
      expect(said('takes no messages now')).toBe(round)
      const knownAt = performance.now()
      for (let index = 0; index < 10; index++) await broker.publish([message(`later${round}-${index}`)])
      expect(performance.now() - knownAt, 'whoever comes later does not wait again').toBeLessThan(PUBLISH_TIMEOUT_MS * 2)
      expect(said('kept in the outbox until it does')).toBe(round)
      expect(await count('outbox')).toBe(11)
      if (round === 1) {
        go()
        await until(
          'forty outcomes, although nothing can be acknowledged on the first connection',
          async () => (await count('task_result')) === 40,
        )
      }
      await alarm(false)
      await until('all of them published and recorded', async () => (await count('task_result')) === 40 + 11 * round)
      await until('the outbox is empty', async () => (await count('outbox')) === 0)
      await until('the second connection is closed', async () => (await connections()) === 1)
      expect(said('takes no messages now')).toBe(round)
      expect(said('takes messages again')).toBe(round)
      expect(said('kept in the outbox until it does')).toBe(round)
      expect(said('outbox cannot be published now')).toBe(said('outbox is published again'))
    }
    expect(said('"level":"error"')).toBe(0)
    expect(said('RabbitMQ is away')).toBe(0)
  })

  it('does not delay the stop of a worker', async () => {
    await broker.publish([message('a'), message('b'), message('c')])
    await consume()
    await alarm(true)
    await broker.publish([message('d')])
    const askedAt = performance.now()
    await consumer?.close()
    expect(performance.now() - askedAt).toBeLessThan(2000)
    await relay.stop()
    await broker.close()
    expect(performance.now() - askedAt).toBeLessThan(4000)
    await alarm(false)
    const queues = () => rabbit.ctl('list_queues', '--no-table-headers', 'messages_ready')
    await until('what it held is back', async () => Number(await queues()) >= 3)
  })
})
