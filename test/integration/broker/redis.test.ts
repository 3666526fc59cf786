import { randomInt } from 'node:crypto'
import { Redis } from 'ioredis'
import { describe, inject } from 'vitest'
import type { Broker } from '../../../src/broker/broker.ts'
import { createRedisBroker } from '../../../src/broker/redis/broker.ts'
import { silentLog } from '../../../src/log.ts'
import { createTestSchema } from '../../support/database.ts'
import { lacks } from '../../support/lacks.ts'
import { recordedIn } from '../../support/recorded.ts'
import { startTcpProxy, type TcpProxy } from '../../support/tcp-proxy.ts'
import { brokerContract } from './contract.ts'
import { type EffectsFixture, effectsContract } from './effects-contract.ts'
import { refusalContract } from './refusal-contract.ts'

const server = inject('redisUrl')

const create = async (): Promise<EffectsFixture> => {
  const schema = await createTestSchema()
  const reader = schema.open()
  const url = `${server}/${randomInt(1, 16)}`
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
    async cut(broker) {
      // What the server sees of a kill -9: every connection of the process ends, and nothing is said before.
      parts.get(broker)!.destroy()
    },
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

describe.skipIf(lacks('redis'))('Redis', () => {
  brokerContract('Redis', create, { redeliveredWithinMs: 10_000 })
  effectsContract('Redis', create)
  refusalContract('Redis', create)
})
