import { inject } from 'vitest'
import { READY_STATES } from '../../src/app/outcome.ts'
import type { StoredResult } from '../../src/app/results/stored-result.ts'
import { type Ours, openOurs } from './celery-ours.ts'
import { createCeleryProcesses } from './celery-process.ts'
import { createTestSchema } from './database.ts'
import { lacks } from './lacks.ts'
import { createTestVhost } from './rabbit.ts'
import { createOwnRedis } from './redis-server.ts'
import { startRole } from './role.ts'
import { until } from './until.ts'

/** The broker, and the result backend of Python. */
export type CanvasPlace = 'RabbitMQ and rpc://' | 'RabbitMQ and redis://' | 'Redis'

export const isHere = (place: CanvasPlace): boolean =>
  !lacks('celery', place === 'Redis' ? 'redis' : 'amqp') && !(place === 'RabbitMQ and redis://' && lacks('redis'))

/** The value of an expression in the Python client. */
export interface PythonValue {
  readonly value?: unknown
  readonly error?: string
  readonly args?: readonly unknown[]
}

export const CANVAS_PLACES: readonly CanvasPlace[] = ['RabbitMQ and rpc://', 'RabbitMQ and redis://', 'Redis']

/** Celery counts chord members in its result backend, and refuses chords over rpc:// (celery/backends/rpc.py). */
export const isCountingChords = (place: CanvasPlace): boolean => place !== 'RabbitMQ and rpc://'

/** An application with two workers: `onedyno worker` for the queue `node`, Celery for the queue `celery`. */
export interface Canvas {
  /** The client of onedyno. */
  readonly ours: Ours
  readonly env: Record<string, string>
  /** Evaluates an expression in test/fixtures/celery/canvas_app.py and waits for its result. Calls run one after the other. */
  python(expression: string): Promise<PythonValue>
  /** A second Python client, for calls in parallel. */
  python2(expression: string): Promise<PythonValue>
  /** Waits until a final outcome is stored in our database. */
  ended(id: string): Promise<StoredResult>
  /** A Python client with other variables, such as another BACKEND. */
  another(env: Record<string, string>): (expression: string) => Promise<PythonValue>
  /** Kills our worker with SIGKILL, runs `meanwhile`, and starts a new worker. */
  restart(meanwhile: () => Promise<void>): Promise<void>
  close(): Promise<void>
}

export async function openCanvas(place: CanvasPlace): Promise<Canvas> {
  const ends: (() => Promise<unknown>)[] = []
  const schema = await createTestSchema()
  ends.push(() => schema.drop())
  const redis = place === 'RabbitMQ and rpc://' ? undefined : await createOwnRedis()
  if (redis !== undefined) ends.push(() => redis.close())
  const vhost = place === 'Redis' ? undefined : await createTestVhost(inject('amqpUrl')!)
  if (vhost !== undefined) ends.push(() => vhost.drop())
  const results = { RESULT_COLLECT: 'on', RESULT_MIRROR: redis === undefined ? 'off' : vhost === undefined ? 'redis' : redis.url }
  const env = {
    ...schema.env,
    ...results,
    ...(vhost === undefined
      ? { ONEDYNO_BROKER: 'redis', REDIS_URL: redis!.url }
      : { ONEDYNO_BROKER: 'amqp', AMQP_URL: vhost.url }),
  }
  const celery = createCeleryProcesses({ BROKER: vhost?.url ?? redis!.url, BACKEND: redis?.url ?? 'rpc://' }, 'canvas_app')
  ends.push(() => celery.close())
  const [python, python2] = [celery.evaluator(), celery.evaluator()]
  const startWorker = () =>
    startRole('worker', env, ['--app', 'test/fixtures/apps/celery-node.ts', '-Q', 'node', '-c', '8', '-n', 'celery@node'], {
      main: 'src/main.ts',
    })
  let [worker] = await Promise.all([
    startWorker(),
    celery.worker({ args: ['-P', 'prefork', '-c', '2', '-n', 'celery@py'], env: { TRACK_STARTED: '1' } }),
  ])
  const kill = () => {
    worker.kill('SIGKILL')
    return worker.exited
  }
  ends.push(kill)
  const ours = await openOurs(schema, env)
  ends.push(() => ours.close())
  const final = (stored: StoredResult | undefined) =>
    stored !== undefined && READY_STATES.has(stored.state) ? stored : undefined
  return {
    ...{ ours, env, python, python2, another: celery.evaluator },
    ended: (id) => until(`the end of ${id}`, async () => final(await ours.results.find(id)), 15_000),
    async restart(meanwhile) {
      await kill()
      await meanwhile()
      worker = await startWorker()
    },
    async close() {
      for (const end of ends.reverse()) await end()
    },
  }
}
