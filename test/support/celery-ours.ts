import { type App, createRegistry } from '../../src/app/app.ts'
import type { Broker } from '../../src/broker/broker.ts'
import { openResultServer } from '../../src/broker/celery-results/server.ts'
import { chooseBroker } from '../../src/broker/open-broker.ts'
import { createRedisBroker, type RedisBroker } from '../../src/broker/redis/broker.ts'
import { createBackend } from '../../src/commands/backend.ts'
import { parseConfig } from '../../src/config.ts'
import type { Database } from '../../src/database/database.ts'
import { createResults, type Results } from '../../src/database/results.ts'
import { type Log, silentLog } from '../../src/log.ts'
import { startWorker, type Worker } from '../../src/worker/worker.ts'
import type { CeleryRedis } from './celery-redis.ts'
import type { TestSchema } from './database.ts'

/** An onedyno application with its own connections, as in a separate process. */
export interface Ours<B extends Broker = Broker> {
  readonly app: App
  readonly broker: B
  readonly database: Database
  readonly results: Results
  worker(options?: { queues?: readonly string[]; concurrency?: number; name?: string }): Promise<Worker>
  close(): Promise<void>
}

function around<B extends Broker>(database: Database, broker: B, log: Log): Ours<B> {
  const results = createResults(database)
  const app = createRegistry(async () => createBackend(database, broker, results))
  const workers: Worker[] = []
  return {
    ...{ app, broker, database, results },
    async worker({ queues = ['celery'], concurrency = 4, name = 'celery@ours' } = {}) {
      const limits = { concurrency, maxDeliveries: 3, graceMs: 1000 }
      const worker = await startWorker({ app, broker, log, name, queues, ...limits })
      workers.push(worker)
      return worker
    },
    async close() {
      await Promise.all(workers.map((worker) => worker.stop()))
      await broker.close()
    },
  }
}

/** Opens the application with the variables of `env`, in the same way as a role. */
export async function openOurs(schema: TestSchema, env: Record<string, string>, log = silentLog()): Promise<Ours> {
  const database = schema.open()
  const config = parseConfig({ ...schema.env, ...env })
  return around(database, await chooseBroker(database, config, { name: 'test', log }), log)
}

/** Opens the application on the Redis keys of this Celery, with RESULT_MIRROR=redis unless `env` overrides it. */
export function openOursOnRedis(schema: TestSchema, celery: CeleryRedis, env: Record<string, string> = {}): Ours<RedisBroker> {
  const { url, prefix } = celery
  const database = schema.open()
  const config = parseConfig({ ...schema.env, REDIS_URL: url, RESULT_MIRROR: 'redis', ...env })
  const log = silentLog()
  const own = (): RedisBroker => broker
  const server = openResultServer(database, config, { log, apart: undefined, own })
  const broker = createRedisBroker(database, config, log, { url, prefix, beforeSending: server.beforeSending })
  return around(database, server.join(broker) as RedisBroker, log)
}
