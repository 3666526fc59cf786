import { randomInt } from 'node:crypto'
import { Redis } from 'ioredis'
import type { State } from '../../../src/app/outcome.ts'
import { createRedisBroker } from '../../../src/broker/redis.ts'
import { silentLog } from '../../../src/log.ts'
import { createTestSchema } from '../../support/database.ts'
import { brokerContract } from './contract.ts'

const server = process.env.TEST_REDIS_URL ?? 'redis://127.0.0.1:6379'

brokerContract(
  'Redis',
  async () => {
    const schema = await createTestSchema()
    const reader = schema.open()
    const url = `${server}/${randomInt(1, 16)}`
    const prefix = `${schema.schema}:`
    const brokers = new Set<ReturnType<typeof createRedisBroker>>()
    return {
      async open() {
        const broker = createRedisBroker(schema.open(), schema.config, silentLog(), { url, prefix })
        brokers.add(broker)
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
        // What the server sees of a kill -9: every connection of the process ends, and nothing is said before.
        for (const each of brokers) if (each === broker) each.destroy()
      },
      async close() {
        for (const broker of brokers) await broker.close()
        const redis = new Redis(url, { protocol: 2 })
        const keys = await redis.keys(`${prefix}*`)
        if (keys.length > 0) await redis.del(keys)
        await redis.quit()
        await schema.drop()
      },
    }
  },
  { redeliveredWithinMs: 10_000 },
)
