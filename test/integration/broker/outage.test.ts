import { pino } from 'pino'
import { afterEach, beforeEach, describe, expect, inject, it, onTestFinished } from 'vitest'
import { createAmqpBroker } from '../../../src/broker/amqp/broker.ts'
import type { Broker } from '../../../src/broker/broker.ts'
import { createRedisBroker } from '../../../src/broker/redis/broker.ts'
import type { Log } from '../../../src/log.ts'
import { createMessage } from '../../../src/message/message.ts'
import { createTestSchema, query, type TestSchema } from '../../support/database.ts'
import { createTestVhost } from '../../support/rabbit.ts'
import { startTcpProxy } from '../../support/tcp-proxy.ts'
import { until } from '../../support/until.ts'

const amqpUrl = inject('amqpUrl')
const redisUrl = inject('redisUrl')
const TIMEOUT_MS = 1000
const message = (id: string) => createMessage({ id, task: 'tasks.echo', args: [], queue: 'outage' })

let schema: TestSchema
beforeEach(async () => {
  schema = await createTestSchema()
})
afterEach(() => schema.drop())

describe.each<[name: string, url: string | undefined, open: (port: number, log: Log) => Promise<Broker>]>([
  [
    'RabbitMQ',
    amqpUrl,
    async (port, log) => {
      const vhost = await createTestVhost(amqpUrl ?? '')
      onTestFinished(() => vhost.drop())
      const url = vhost.urlAt(port)
      const choice = { kind: 'amqp', why: 'test', publishUrl: url, consumeUrl: url } as const
      const config = { publishTimeoutMs: TIMEOUT_MS, queueType: 'classic', queueMaxPriority: 0, broker: choice } as const
      return createAmqpBroker(schema.open(), config, { name: 'test', log })
    },
  ],
  [
    'Redis',
    redisUrl,
    async (port, log) => {
      const url = new URL(redisUrl ?? '')
      url.port = String(port)
      const config = { ...schema.config, publishTimeoutMs: TIMEOUT_MS }
      return createRedisBroker(schema.open(), config, log, { url: url.href, prefix: `${schema.schema}:` })
    },
  ],
])('while %s is away', (_name, url, open) => {
  const opened = async () => {
    const { hostname, port } = new URL(url ?? '')
    const proxy = await startTcpProxy({ host: hostname, port: Number(port) })
    const lines: string[] = []
    const log = pino({ level: 'info' }, { write: (line: string) => void lines.push(JSON.parse(line).msg) })
    const broker = await open(proxy.port, log)
    onTestFinished(async () => {
      proxy.open()
      await broker.purge('outage')
      await broker.close()
      await proxy.close()
    })
    await broker.publish([message('before')])
    return { broker, proxy, lines }
  }
  const timed = async (work: () => Promise<unknown>) => {
    const begunAt = performance.now()
    await work()
    return performance.now() - begunAt
  }
  const kept = async () =>
    (await query(schema.url, `SELECT task_id FROM "${schema.schema}".outbox ORDER BY task_id`)).map(({ task_id }) => task_id)
  const ready = async (broker: Broker) => (await broker.depths(['outage']))[0]!.ready

  it.skipIf(url === undefined).each(['shut', 'freeze'] as const)(
    'only one call waits for the server, and no message is lost (failure: %s)',
    async (how) => {
      const { broker, proxy, lines } = await opened()
      proxy[how]()
      const first = timed(() => broker.publish([message('a0')]))
      const second = timed(() => broker.publish([message('a1')]))
      expect(await first).toBeGreaterThan(TIMEOUT_MS - 50)
      expect(await second, 'who comes meanwhile waits no longer than it').toBeLessThan(TIMEOUT_MS + 300)
      const rest = await timed(async () => {
        for (let n = 2; n < 22; n++) await broker.publish([message(`a${n}`)])
      })
      expect(rest, 'twenty calls, one after the other').toBeLessThan(TIMEOUT_MS)
      expect(await kept()).toEqual(Array.from({ length: 22 }, (_, n) => `a${n}`).sort())
      expect(lines.filter((line) => line.includes('kept in the outbox'))).toHaveLength(1)

      proxy.cut()
      proxy.open()
      await until('it is back', async () => {
        await broker.publish([message(`b${Math.random()}`)])
        return lines.some((line) => line.includes('messages go straight to it'))
      })
      const before = (await kept()).length
      await broker.publish([message('c')])
      expect((await kept()).length, 'messages go straight to it').toBe(before)
      while ((await broker.relayDue(500)).moved > 0);
      expect(await kept()).toEqual([])
      expect(await ready(broker)).toBeGreaterThanOrEqual(1 + 22 + 1)
      expect(lines.filter((line) => line.includes('messages go straight to it'))).toHaveLength(1)
    },
    30_000,
  )
})
