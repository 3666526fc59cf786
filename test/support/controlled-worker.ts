import { inject } from 'vitest'
import { createRegistry } from '../../src/app/app.ts'
import type { Broker } from '../../src/broker/broker.ts'
import { chooseBroker } from '../../src/broker/open-broker.ts'
import { createRedisBroker } from '../../src/broker/redis/broker.ts'
import { createBackend } from '../../src/commands/backend.ts'
import { type Config, parseConfig } from '../../src/config.ts'
import { type Control, createControl } from '../../src/control/start-control.ts'
import { createRateLimits } from '../../src/database/rate-limits.ts'
import { createResults } from '../../src/database/results.ts'
import { createRevocations } from '../../src/database/revocations.ts'
import { silentLog } from '../../src/log.ts'
import { createRateLimiter } from '../../src/worker/attempt/rate-limiter.ts'
import { startRevocations } from '../../src/worker/revocations.ts'
import { startWorker, type Worker } from '../../src/worker/worker.ts'
import { type CeleryCli, createCeleryCli } from './celery-control.ts'
import { type CeleryProcesses, createCeleryProcesses } from './celery-process.ts'
import { createCeleryRedis } from './celery-redis.ts'
import type { TestSchema } from './database.ts'
import { createTestVhost } from './rabbit.ts'

/** The name of the worker. */
export const HOST = 'celery@ours'

/** A virtual host of RabbitMQ, or keys with a prefix in Redis. */
export interface Place {
  readonly config: Config
  readonly broker: Broker
  /** The command line of real Celery on the same broker. */
  readonly celery: CeleryCli
  /** Processes of canvas_app.py on the same broker. */
  readonly python: CeleryProcesses
  close(): Promise<void>
}

/** A worker of ours on its own schema, virtual host or key prefix. */
export async function openWorker(schema: TestSchema, { broker, config }: Place) {
  const database = schema.open()
  const results = createResults(database)
  const app = createRegistry(async () => createBackend(database, broker, results))
  const aborted: string[] = []
  app.task('tasks.echo', (value: unknown) => value)
  app.task('tasks.fail', (text: string) => {
    throw new RangeError(text)
  })
  app.task(
    'tasks.wait',
    (context) =>
      new Promise<void>((_resolve, reject) => {
        context.signal.addEventListener('abort', () => {
          aborted.push(context.id)
          reject(context.signal.reason)
        })
      }),
    { bind: true },
  )
  const log = silentLog()
  const told = new AbortController()
  const revocations = createRevocations(database)
  const revoked = await startRevocations(revocations, log, () => {})
  const control: Control = await createControl({
    broker,
    config,
    log,
    hostname: HOST,
    tasks: app.tasks,
    events: false,
    shutdown: () => told.abort(),
    revoked,
    revoke: revocations.revoke,
  })
  const worker: Worker = await startWorker({
    app,
    broker,
    log,
    name: HOST,
    queues: ['celery'],
    concurrency: 4,
    maxDeliveries: 3,
    graceMs: 200,
    observer: control.observer,
    isRevoked: revoked.isRevoked,
    limiter: createRateLimiter({ log, limits: createRateLimits(database) }),
  })
  control.attach(worker)
  return { app, results, worker, control, aborted, told: told.signal }
}

async function rabbit(schema: TestSchema): Promise<Place> {
  const vhost = await createTestVhost(inject('amqpUrl')!)
  const config = parseConfig({ ...schema.env, CLOUDAMQP_URL: vhost.url })
  const broker = await chooseBroker(schema.open(), config, { name: 'test', log: silentLog() })
  const celery = createCeleryCli(['-b', vhost.url])
  const python = createCeleryProcesses({ BROKER: vhost.url }, 'canvas_app')
  const close = async () => {
    await python.close()
    await celery.close()
    await broker.close()
    await vhost.drop()
  }
  return { config, broker, celery, python, close }
}

async function redis(schema: TestSchema): Promise<Place> {
  const place = await createCeleryRedis()
  const { url, prefix } = place
  const config = parseConfig({ ...schema.env, REDIS_URL: url })
  const broker = createRedisBroker(schema.open(), config, silentLog(), { url, prefix })
  const celery = createCeleryCli(['-A', 'python_app'], { BROKER: url, PREFIX: prefix })
  const python = createCeleryProcesses({ BROKER: url, PREFIX: prefix }, 'canvas_app')
  const close = async () => {
    await python.close()
    await celery.close()
    await broker.close()
    await place.close()
  }
  return { config, broker, celery, python, close }
}

export const PLACES = [
  ['RabbitMQ', 'amqp', rabbit],
  ['Redis', 'redis', redis],
] as const
