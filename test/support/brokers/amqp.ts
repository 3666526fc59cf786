import { connect } from 'amqplib'
import { inject } from 'vitest'
import { createAmqpBroker } from '../../../src/broker/amqp/broker.ts'
import type { Broker } from '../../../src/broker/broker.ts'
import type { Database } from '../../../src/database/database.ts'
import { silentLog } from '../../../src/log.ts'
import { createTestSchema } from '../database.ts'
import { createTestVhost, type TestVhost } from '../rabbit.ts'
import { startTcpProxy, type TcpProxy } from '../tcp-proxy.ts'
import type { BrokerFixture } from './fixture.ts'
import { recordedIn } from './recorded.ts'

export interface AmqpFixture extends BrokerFixture {
  /** The virtual host of this test file, without a proxy. */
  readonly url: string
  readonly shut: (broker: Broker) => void
  proxyOf(broker: Broker): TcpProxy
}

/** One virtual host for a test file, because creating one takes a second. */
let shared: Promise<TestVhost> | undefined

/** Each client connects through its own proxy. Queues of the shared virtual host are deleted when the fixture closes. */
export async function createAmqpFixture({ publishTimeoutMs = 10_000 } = {}): Promise<AmqpFixture> {
  shared ??= createTestVhost(inject('amqpUrl') ?? '')
  const vhost = await shared
  const schema = await createTestSchema()
  const reader = schema.open()
  const { hostname, port } = new URL(vhost.url)
  const parts = new Map<Broker, { database: Database; proxy: TcpProxy }>()
  return {
    url: vhost.url,
    database: reader,
    shut: (broker) => parts.get(broker)!.proxy.shut(),
    async open() {
      const proxy = await startTcpProxy({ host: hostname, port: Number(port) || 5672 })
      const url = vhost.urlAt(proxy.port)
      const database = schema.open()
      const config = {
        publishTimeoutMs,
        queueType: 'classic',
        queueMaxPriority: 10,
        broker: { kind: 'amqp', why: 'test', publishUrl: url, consumeUrl: url },
      } as const
      const broker = createAmqpBroker(database, config, { name: 'test', log: silentLog() })
      parts.set(broker, { database, proxy })
      return broker
    },
    proxyOf: (broker) => parts.get(broker)!.proxy,
    ...recordedIn(reader),
    async cut(broker) {
      const { database, proxy } = parts.get(broker)!
      // The database closes first: a dead process stores nothing about its lost messages.
      await database.close()
      proxy.shut()
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
}

/** Call it after the last test of a file. */
export async function dropSharedVhost(): Promise<void> {
  await (await shared)?.drop()
  shared = undefined
}

async function deleteQueues(url: string, names: readonly string[]): Promise<void> {
  const connection = await connect(url)
  const channel = await connection.createChannel()
  for (const name of names) await channel.deleteQueue(name)
  await connection.close()
}
