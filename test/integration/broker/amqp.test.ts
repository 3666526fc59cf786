import { connect } from 'amqplib'
import { afterAll, beforeAll, describe, inject } from 'vitest'
import type { State } from '../../../src/app/outcome.ts'
import { createAmqpBroker } from '../../../src/broker/amqp.ts'
import type { Broker } from '../../../src/broker/broker.ts'
import type { Database } from '../../../src/database/database.ts'
import { silentLog } from '../../../src/log.ts'
import { createTestSchema } from '../../support/database.ts'
import { createTestVhost, type TestVhost } from '../../support/rabbit.ts'
import { startTcpProxy, type TcpProxy } from '../../support/tcp-proxy.ts'
import { brokerContract } from './contract.ts'

const server = inject('amqpUrl')

describe.skipIf(server === undefined)('RabbitMQ', () => {
  let vhost: TestVhost
  beforeAll(async () => {
    vhost = await createTestVhost(server ?? '')
  })
  afterAll(() => vhost.drop())

  brokerContract('RabbitMQ', async () => {
    const schema = await createTestSchema()
    const reader = schema.open()
    const { hostname, port } = new URL(vhost.url)
    const parts = new Map<Broker, { database: Database; proxy: TcpProxy }>()
    return {
      async open() {
        const proxy = await startTcpProxy({ host: hostname, port: Number(port) || 5672 })
        const url = vhost.urlAt(proxy.port)
        const database = schema.open()
        const config = {
          publishTimeoutMs: 10_000,
          queueType: 'classic',
          queueMaxPriority: 10,
          broker: { kind: 'amqp', why: 'test', publishUrl: url, consumeUrl: url },
        } as const
        const broker = createAmqpBroker(database, config, { name: 'test', log: silentLog() })
        parts.set(broker, { database, proxy })
        return broker
      },
      async recorded() {
        const rows = await reader.query<{ id: string; state: State }>({
          name: 'recorded',
          text: 'SELECT id, state FROM task_result',
        })
        return new Map(rows.map(({ id, state }) => [id, state]))
      },
      async deadLetters() {
        return (await reader.query({ name: 'letters', text: 'SELECT FROM dead_letter' })).length
      },
      async cut(broker) {
        // What the servers see of a kill -9: every connection of the process ends, and nothing is said before.
        const { database, proxy } = parts.get(broker)!
        proxy.shut()
        await database.close()
      },
      async close() {
        for (const [broker, { proxy }] of parts) {
          await broker.close()
          await proxy.close()
        }
        await schema.drop()
        await deleteQueues(vhost.url, ['celery', 'one', 'two', 'three'])
      },
    }
  })
})

async function deleteQueues(url: string, names: readonly string[]): Promise<void> {
  const connection = await connect(url)
  const channel = await connection.createChannel()
  for (const name of names) await channel.deleteQueue(name)
  await connection.close()
}
