import { randomInt } from 'node:crypto'
import { Redis } from 'ioredis'
import { inject } from 'vitest'
import type { Broker } from '../../../src/broker/broker.ts'
import { createRedisBroker } from '../../../src/broker/redis/broker.ts'
import { silentLog } from '../../../src/log.ts'
import { createTestSchema } from '../database.ts'
import { startTcpProxy, type TcpProxy } from '../tcp-proxy.ts'
import type { BrokerFixture } from './fixture.ts'
import { recordedIn } from './recorded.ts'

/** Keys have a random prefix, because all tests share the server. Each client connects through its own proxy. */
export async function createRedisFixture(): Promise<BrokerFixture> {
  const schema = await createTestSchema()
  const reader = schema.open()
  const url = `${inject('redisUrl')}/${randomInt(1, 16)}`
  const prefix = `${schema.schema}:`
  const parts = new Map<Broker, { destroy(): void; proxy: TcpProxy }>()
  return {
    database: reader,
    shut: (broker) => parts.get(broker)!.proxy.shut(),
    async open() {
      const { hostname, port } = new URL(url)
      const proxy = await startTcpProxy({ host: hostname, port: Number(port) || 6379 })
      const through = Object.assign(new URL(url), { hostname: '127.0.0.1', port: String(proxy.port) })
      const broker = createRedisBroker(schema.open(), schema.config, silentLog(), { url: through.href, prefix })
      parts.set(broker, { destroy: () => broker.destroy(), proxy })
      return broker
    },
    ...recordedIn(reader),
    cut: async (broker) => parts.get(broker)!.destroy(),
    async close() {
      for (const [broker, { proxy }] of parts) {
        await broker.close()
        await proxy.close()
      }
      const redis = new Redis(url, { protocol: 2 })
      const keys = await redis.keys(`${prefix}*`)
      if (keys.length > 0) await redis.del(keys)
      await redis.quit()
      await schema.drop()
    },
  }
}
