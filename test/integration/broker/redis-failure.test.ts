import { afterEach, beforeEach, describe, expect, it, onTestFinished } from 'vitest'
import type { Outcome } from '../../../src/app/outcome.ts'
import type { Consumer, Delivery } from '../../../src/broker/broker.ts'
import { startOutboxRelay } from '../../../src/broker/outbox/relay.ts'
import { createRedisBroker, type RedisBroker } from '../../../src/broker/redis/broker.ts'
import { silentLog } from '../../../src/log.ts'
import { createMessage } from '../../../src/message/message.ts'
import { createTestSchema, type TestSchema } from '../../support/database.ts'
import { lacks } from '../../support/lacks.ts'
import { createOwnRedis, type OwnRedis } from '../../support/redis-server.ts'
import { until } from '../../support/until.ts'

const message = (id: string, args: unknown[] = [id]) => createMessage({ id, task: 'tasks.echo', args })

const succeeded = ({ message: { headers, queue } }: Delivery): Outcome => ({
  id: headers.id,
  task: headers.task,
  state: 'SUCCESS',
  result: 'null',
  traceback: null,
  queue,
  retries: 0,
  startedAt: Date.now(),
  doneAt: Date.now(),
})

describe.skipIf(lacks('redis'))('a Redis broker during failures', () => {
  let schema: TestSchema
  let server: OwnRedis
  const brokers: RedisBroker[] = []
  const consumers: Consumer[] = []

  beforeEach(async () => {
    schema = await createTestSchema()
    server = await createOwnRedis()
  })
  afterEach(async () => {
    for (const consumer of consumers.splice(0)) await consumer.close()
    for (const broker of brokers.splice(0)) await broker.close()
    await server.close()
    await schema.drop()
  })

  const open = (publishTimeoutMs = 10_000) => {
    const broker = createRedisBroker(schema.open(), { ...schema.config, publishTimeoutMs }, silentLog(), { url: server.url })
    brokers.push(broker)
    return broker
  }
  const recorded = async () => {
    const [row] = await schema
      .open()
      .query<{ count: number }>({ name: 'count', text: 'SELECT count(*)::int AS count FROM {schema}.task_result' })
    return row?.count ?? 0
  }
  const consume = async (run: (delivery: Delivery, consumer: Consumer) => void) => {
    const early: Delivery[] = []
    let consumer: Consumer | undefined
    const onDeliveries = (deliveries: readonly Delivery[]) => {
      for (const delivery of deliveries) {
        if (consumer === undefined) early.push(delivery)
        else run(delivery, consumer)
      }
    }
    consumer = await open().consume({ queues: ['celery'], concurrency: 10, name: 'celery@test', onDeliveries })
    for (const delivery of early) run(delivery, consumer)
    consumers.push(consumer)
    return consumer
  }

  it('loses no message when the server is killed and restarted five times', async () => {
    const total = 2000
    const runs = new Map<string, number>()
    const run = (delivery: Delivery, consumer: Consumer) => {
      const { id } = delivery.message.headers
      runs.set(id, (runs.get(id) ?? 0) + 1)
      setImmediate(() => consumer.finish(delivery, succeeded(delivery)))
    }
    await consume(run)
    await consume(run)
    const publisher = open()
    const restarts = (async () => {
      for (let times = 0; times < 5; times++) {
        await until('more recorded', async () => (await recorded()) >= (times + 1) * 250)
        await server.restart()
      }
    })()
    for (let from = 0; from < total; from += 20)
      await publisher.publish(Array.from({ length: 20 }, (_, index) => message(`m${from + index}`)))
    await restarts
    await until('all recorded', async () => (await recorded()) === total, 30_000)
    await until('all acknowledged', async () => (await server.redis.hlen('unacked')) === 0)
    expect(runs.size).toBe(total)
    expect(await publisher.depths(['celery'])).toEqual([{ queue: 'celery', ready: 0, running: 0 }])
  })

  it('stops a worker without an error although the server refuses its sign-off', async () => {
    const consumer = await consume(() => {})
    const [key = ''] = await server.redis.keys('*workers*')
    await server.redis.set(key, 'of another kind')
    await expect(consumer.close()).resolves.toBeUndefined()
    await server.redis.del(key)
  })

  it('keeps messages in the outbox while the server is away, and publishes them afterwards', async () => {
    const publisher = open(200)
    const relay = await startOutboxRelay(schema.open(), publisher, silentLog())
    await server.kill()
    await publisher.publish([message('kept')])
    await server.start()
    const got: string[] = []
    await consume((delivery, consumer) => {
      got.push(delivery.message.headers.id)
      consumer.finish(delivery, succeeded(delivery))
    })
    await until('delivered', () => got.length === 1)
    expect(got).toEqual(['kept'])
    await relay.stop()
  })

  it('keeps messages in the outbox when the server has no memory left', async () => {
    const publisher = open(200)
    await publisher.publish([message('before')])
    await server.redis.call('CONFIG', 'SET', 'maxmemory', '1mb', 'maxmemory-policy', 'noeviction')
    await publisher.publish([message('full', ['x'.repeat(1000)])])
    expect(await publisher.depths(['celery'])).toEqual([{ queue: 'celery', ready: 1, running: 0 }])
    await server.redis.call('CONFIG', 'SET', 'maxmemory', '0')
    const { moved } = await publisher.relayDue(10)
    expect(moved).toBe(1)
    expect(await publisher.depths(['celery'])).toEqual([{ queue: 'celery', ready: 2, running: 0 }])
  })

  it('queues a message once although the answer to the first attempt was lost', async () => {
    const publisher = open()
    await publisher.publish([message('first')])
    // The server executes the script, and the connection breaks before the answer.
    await server.redis.call('CLIENT', 'PAUSE', '300', 'WRITE')
    const published = publisher.publish([message('second')])
    await until('the command waits on the server', async () => String(await server.redis.client('LIST')).includes('cmd=evalsha'))
    await server.redis.call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes')
    await published
    expect(await publisher.depths(['celery'])).toEqual([{ queue: 'celery', ready: 2, running: 0 }])
  })

  it('starts a worker although the server goes away during its start', async () => {
    const delays = [0, 1, 2, 3, 5, 8, 13, 21]
    for (const [round, afterMs] of delays.entries()) {
      await open().publish([message(`m${round}`)])
      const starting = consume((delivery, on) => on.finish(delivery, succeeded(delivery)))
      await new Promise((resolve) => setTimeout(resolve, afterMs))
      await server.restart()
      const consumer = await starting
      await until('recorded', async () => (await recorded()) === round + 1)
      await consumer.close()
      consumers.pop()
    }
  })

  it('stops a worker in time while the server is away, and does not run tasks with a stored outcome again', async () => {
    await open().publish([message('a')])
    const ran: string[] = []
    const consumer = await consume((delivery, on) => {
      ran.push(delivery.message.headers.id)
      void server.kill().then(() => on.finish(delivery, succeeded(delivery)))
    })
    await until('recorded', async () => (await recorded()) === 1)
    const askedAt = performance.now()
    await consumer.close(300)
    await brokers.pop()?.close()
    expect(performance.now() - askedAt).toBeLessThan(2000)
    consumers.pop()
    await server.start()
    await consume((delivery) => void ran.push(delivery.message.headers.id))
    const reader = open()
    await until('acknowledged', async () => {
      const [depth] = await reader.depths(['celery'])
      return depth?.ready === 0 && depth.running === 0
    })
    expect(ran).toEqual(['a'])
  })

  it('requeues the messages of a silent worker only after its connection is gone', async () => {
    await open().publish([message('a')])
    const slow = await consume(() => {})
    await until('taken', async () => (await server.redis.hlen('unacked')) === 1)
    await slow.stop()
    // As with a task that blocks the event loop: the lease ended ten seconds ago, but the connection stands.
    const silent = brokers.at(-1)!
    const workers = () => server.redis.zrange('onedyno.workers', '0', '-1')
    const name = (await workers())[0] ?? ''
    const lapse = () => server.redis.zadd('onedyno.workers', 'XX', Date.now() / 1000 - 10, name)
    const lapsing = setInterval(() => lapse().catch(() => {}), 20)
    onTestFinished(() => clearInterval(lapsing))
    const got: string[] = []
    await consume((delivery, consumer) => {
      got.push(delivery.message.headers.id)
      consumer.finish(delivery, succeeded(delivery))
    })
    const other = (await workers()).find((each) => each !== name) ?? ''
    const beats = new Set<string>()
    await until('four beats of the other one', async () => {
      beats.add((await server.redis.zscore('onedyno.workers', other)) ?? '')
      return beats.size >= 5
    })
    expect(got).toEqual([])
    consumers.shift()
    silent.destroy()
    await until('handed out again', () => got.length === 1)
  })
})
