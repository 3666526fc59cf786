import { randomBytes, randomInt } from 'node:crypto'
import { Redis } from 'ioredis'
import { inject } from 'vitest'
import { type CeleryProcesses, createCeleryProcesses } from './celery-process.ts'

export interface CeleryRedis extends CeleryProcesses {
  readonly url: string
  readonly prefix: string
  /** A plain client on the same database. */
  readonly redis: Redis
  /** `close` removes the results of these ids. */
  owns(...ids: readonly string[]): void
  /** Ends all processes and removes all keys. */
  close(): Promise<void>
}

/**
 * Starts Celery on its own Redis database and key prefix. Results have no prefix, so they are removed by id. `own` is a Redis server
 * that only this test uses.
 */
export async function createCeleryRedis(own?: string): Promise<CeleryRedis> {
  const url = own ?? `${inject('redisUrl')}/${randomInt(1, 16)}`
  const prefix = `test_${randomBytes(6).toString('hex')}:`
  const redis = new Redis(url, { protocol: 2 })
  const ids = new Set<string>()
  const processes = createCeleryProcesses({ BROKER: url, BACKEND: url, PREFIX: prefix })
  const owns = (...more: readonly string[]) => {
    for (const id of more) ids.add(id)
  }
  return {
    url,
    prefix,
    redis,
    owns,
    evaluator: processes.evaluator,
    client(env) {
      const { call } = processes.client(env)
      return {
        call(asked) {
          owns(asked.id)
          return call(asked)
        },
      }
    },
    worker: ({ args = [], env } = {}) => processes.worker({ args: ['-n', `${prefix}@py`, ...args], ...(env && { env }) }),
    async close() {
      await processes.close()
      const keys = [...(await redis.keys(`*${prefix}*`)), ...[...ids].map((id) => `celery-task-meta-${id}`)]
      if (keys.length > 0) await redis.del(keys)
      await redis.quit()
    },
  }
}
