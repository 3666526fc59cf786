import { Redis } from 'ioredis'
import { describe, expect, inject, it } from 'vitest'
import type { Broker } from '../../../src/broker/broker.ts'
import type { ControlTransport } from '../../../src/broker/control-transport.ts'
import { chooseBroker } from '../../../src/broker/open-broker.ts'
import { parseConfig } from '../../../src/config.ts'
import { askWorkers } from '../../../src/control/ask.ts'
import { createControl } from '../../../src/control/start-control.ts'
import { silentLog } from '../../../src/log.ts'
import { startWorker } from '../../../src/worker/worker.ts'
import { createTestSchema } from '../../support/database.ts'
import { startDatabaseProxy } from '../../support/database-proxy.ts'
import { createTestVhost, rabbitmqctl } from '../../support/rabbit.ts'
import { startTcpProxy } from '../../support/tcp-proxy.ts'
import { until } from '../../support/until.ts'

const HOST = 'celery@cut'
const NEVER_REVOKED = { revoked: { ids: () => [], add() {}, addStamps() {} }, revoke: async () => [] }

const REDIS = inject('redisUrl')
const SERVERS = [
  ['RabbitMQ', 'CLOUDAMQP_URL', inject('amqpUrl')],
  ['Redis', 'REDIS_URL', REDIS === undefined ? undefined : `${REDIS}/13`],
  ['PostgreSQL', 'DATABASE_URL', inject('databaseUrl')],
] as const

async function startServerProxy(url: string) {
  const through = new URL(url)
  const proxy = await startTcpProxy({ host: through.hostname, port: Number(through.port) })
  through.port = String(proxy.port)
  return { proxy, url: through.href }
}

describe.each(SERVERS)('remote control through %s', (name, variable, at) => {
  const server = at ?? ''
  it.skipIf(at === undefined)('works again after a lost connection, without a restart of the worker', async () => {
    const schema = await createTestSchema()
    const vhost = name === 'RabbitMQ' ? await createTestVhost(server) : undefined
    const direct = vhost?.url ?? server
    const { proxy, url } = name === 'PostgreSQL' ? await startDatabaseProxy(direct) : await startServerProxy(direct)
    const log = silentLog()
    const open = (through: string): Promise<Broker> => {
      const config = parseConfig({ ...schema.env, [variable]: through })
      return chooseBroker(schema.open({ env: { [variable]: through } }), config, { name: 'test', log })
    }
    const [broker, other] = [await open(url), await open(direct)]
    const config = parseConfig({ ...schema.env, [variable]: url })
    const control = await createControl({
      broker,
      config,
      log,
      hostname: HOST,
      tasks: new Map(),
      events: true,
      shutdown() {},
      ...NEVER_REVOKED,
    })
    const taking = { app: { tasks: new Map() }, broker, log, name: HOST, queues: ['test_control'] }
    const worker = await startWorker({ ...taking, concurrency: 1, maxDeliveries: 3, graceMs: 100, observer: control.observer })
    control.attach(worker)
    const transport: ControlTransport = await other.control()
    const ping = async () => {
      const answers = await askWorkers(transport, { method: 'ping', given: {}, destination: [HOST], timeoutMs: 300 })
      return answers.get(HOST)
    }
    try {
      expect(await until('the first answer', ping)).toEqual({ ok: 'pong' })
      for (let cut = 0; cut < 3; cut++) {
        proxy.cut()
        expect(await until(`an answer after cut ${cut + 1}`, ping)).toEqual({ ok: 'pong' })
      }
      // One mailbox, as in Celery, and none without a consumer.
      if (vhost !== undefined)
        expect(await rabbitmqctl('list_queues', '-p', vhost.name, 'name', 'consumers', 'auto_delete')).toMatch(
          new RegExp(`${HOST}\\.celery\\.pidbox\\s+1\\s+true`),
        )
    } finally {
      await worker.stop()
      await control.stop()
      await transport.close()
      await broker.close()
      await other.close()
      await proxy.close()
      await vhost?.drop()
      if (name === 'Redis') {
        const client = new Redis(server)
        await client.del('_kombu.binding.test_control')
        await client.quit()
      }
      await schema.drop()
    }
  })
})
