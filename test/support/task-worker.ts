import { randomBytes } from 'node:crypto'
import { connect as connectToRabbit } from 'amqplib'
import { pino } from 'pino'
import { afterAll, afterEach, beforeAll, beforeEach, describe, inject } from 'vitest'
import { type App, createRegistry } from '../../src/app/app.ts'
import { READY_STATES } from '../../src/app/outcome.ts'
import type { StoredResult } from '../../src/app/results/stored-result.ts'
import type { Broker } from '../../src/broker/broker.ts'
import { chooseBroker } from '../../src/broker/open-broker.ts'
import { startOutboxRelay } from '../../src/broker/outbox/relay.ts'
import { createBackend } from '../../src/commands/backend.ts'
import { parseConfig } from '../../src/config.ts'
import type { Database } from '../../src/database/database.ts'
import { parkInOutbox } from '../../src/database/outbox.ts'
import { createResults, type Results } from '../../src/database/results.ts'
import type { Log } from '../../src/log.ts'
import type { Message } from '../../src/message/message.ts'
import { startWorker, type Worker, type WorkerOptions } from '../../src/worker/worker.ts'
import { createTestSchema, query, type TestSchema } from './database.ts'
import { createTestVhost } from './rabbit.ts'
import { createOwnRedis } from './redis-server.ts'
import { type RoleProcess, startRole } from './role.ts'
import { until } from './until.ts'

/**
 * Runs the same tests on every broker with real workers, in this process or in child processes that a test can kill.
 *
 *     onEveryBroker('retries', (at) => {
 *       it('runs again', async () => {
 *         let runs = 0
 *         const flaky = at.app.task('flaky', () => { if (++runs < 2) throw new Error('no'); return runs }, { autoretryFor: [Error], retryDelay: 0 })
 *         await at.work()                                   // a worker in this process: tasks are closures of the test
 *         const { id } = await flaky.delay()
 *         expect(await at.ended(id)).toMatchObject({ state: 'SUCCESS', retries: 1 })
 *       })
 *       it('survives kill -9', async () => {
 *         const worker = await at.process('test/fixtures/apps/mine.ts')   // `onedyno worker --app …`, from the sources
 *         await at.app.sendTask('mine.hold', [])
 *         worker.kill('SIGKILL')
 *       })
 *     })
 *
 * Each test has its own schema. The tests of a suite share the virtual host and the Redis server; `queues` are empty at the start of each
 * test. Workers, processes and connections end with the test. A broker without a server is skipped, or fails with CI=true (global-setup.ts).
 */
export function onEveryBroker(name: string, tests: (at: TaskFixture) => void, options: SuiteOptions = {}): void {
  for (const kind of options.only ?? KINDS) {
    describe.skipIf(isMissing(kind))(`${name} (${kind})`, () => tests(fixtureOf(kind, options)))
  }
}

export interface SuiteOptions {
  readonly only?: readonly Broker['kind'][]
  /** Queues that are purged after each test. Default: `celery`. */
  readonly queues?: readonly string[]
  /** Variables for every process and connection of the suite. */
  readonly env?: Readonly<Record<string, string>>
}

/** Options of an in-process worker. `env` sets variables for the worker's own connections. */
export type WorkOptions = Partial<WorkerOptions> & { readonly env?: Record<string, string> }

/** All fields belong to the running test. Read them within a test, not before. */
export interface TaskFixture {
  readonly kind: Broker['kind']
  /** An app without tasks that sends through this broker. In-process workers run its tasks. */
  readonly app: App
  readonly results: Results
  readonly database: Database
  readonly broker: Broker
  readonly schema: TestSchema
  /** Variables for a child process. */
  readonly env: Record<string, string>
  /** Log lines of in-process workers, as objects with `msg`. */
  readonly logged: readonly Record<string, unknown>[]
  /** Opens separate connections, as another process has them. */
  connect(env?: Record<string, string>): Promise<{ database: Database; broker: Broker; results: Results }>
  /** Starts a worker in this process, with an outbox relay. */
  work(options?: WorkOptions): Promise<Worker>
  /** Starts `onedyno worker --app FILE ARGS` as a process. `app` is a path from the repository's root. Resolves when the worker is ready. */
  process(app: string, options?: { env?: Record<string, string>; args?: readonly string[] }): Promise<RoleProcess>
  /** Waits until the task has a final outcome. */
  ended(id: string, timeoutMs?: number): Promise<StoredResult>
  /** Runs a statement in which `$name` is a table of this schema: `SELECT state FROM $task_result`. */
  rows(text: string, values?: unknown[]): Promise<Record<string, unknown>[]>
}

const KINDS = ['postgres', 'amqp', 'redis'] as const

const isMissing = (kind: Broker['kind']): boolean =>
  (kind === 'amqp' && inject('amqpUrl') === undefined) || (kind === 'redis' && inject('redisUrl') === undefined)

/** A server, or a virtual host of it, that the tests of a suite share. */
interface Place {
  readonly env: Record<string, string>
  /** Removes all messages of a test, including those of killed workers that the server still considers alive. */
  clear(queues: readonly string[]): Promise<void>
  close(): Promise<void>
}

async function openPlace(kind: Broker['kind']): Promise<Place> {
  switch (kind) {
    case 'postgres':
      return { env: { ONEDYNO_BROKER: 'postgres' }, clear: async () => {}, close: async () => {} }
    case 'amqp': {
      const vhost = await createTestVhost(inject('amqpUrl') ?? '')
      const connection = await connectToRabbit(vhost.url)
      const channel = await connection.createChannel()
      return {
        env: { ONEDYNO_BROKER: 'amqp', AMQP_URL: vhost.url },
        async clear(queues) {
          for (const queue of queues) await channel.deleteQueue(queue)
        },
        async close() {
          await connection.close()
          await vhost.drop()
        },
      }
    }
    case 'redis': {
      // A separate server, because a child process has no option for a key prefix.
      const server = await createOwnRedis()
      return {
        env: { ONEDYNO_BROKER: 'redis', REDIS_URL: server.url },
        async clear() {
          await server.redis.flushall()
        },
        close: () => server.close(),
      }
    }
    default:
      return kind satisfies never
  }
}

/** The resources of one test. */
interface Opened {
  readonly schema: TestSchema
  readonly app: App
  readonly database: Database
  readonly broker: Broker
  readonly results: Results
  readonly log: Log
  readonly lines: Record<string, unknown>[]
  /** Closed in reverse order. */
  readonly ends: (() => Promise<unknown>)[]
}

function fixtureOf(kind: Broker['kind'], options: SuiteOptions): TaskFixture {
  const { queues = ['celery'] } = options
  let place: Place
  let opened: Opened | undefined
  const now = (): Opened => {
    if (opened === undefined) throw new Error('the fixture belongs to a test: use it within one')
    return opened
  }
  const envOf = (schema: TestSchema) => ({ ...schema.env, ...place.env, ...options.env })

  beforeAll(async () => {
    place = await openPlace(kind)
  })
  afterAll(() => place?.close())

  beforeEach(async () => {
    const schema = await createTestSchema()
    const lines: Record<string, unknown>[] = []
    const log = pino({ level: 'debug' }, { write: (line: string) => void lines.push(JSON.parse(line)) })
    const ends = [() => schema.drop()]
    const { database, broker, results } = await connect(schema, envOf(schema), log)
    ends.push(() => broker.close())
    const app = createRegistry(async () => createBackend(database, broker, results))
    opened = { schema, app, database, broker, results, log, lines, ends }
  })
  afterEach(async () => {
    // Closes workers and processes, then connections, then the schema. Then purges the queues.
    for (const end of now().ends.splice(0).reverse()) await end()
    await place.clear(queues)
    opened = undefined
  })

  const another = async (env: Record<string, string> = {}) => {
    const { schema, log, ends } = now()
    const made = await connect(schema, { ...envOf(schema), ...env }, log)
    ends.push(() => made.broker.close())
    return made
  }

  return {
    kind,
    get app() {
      return now().app
    },
    get results() {
      return now().results
    },
    get database() {
      return now().database
    },
    get broker() {
      return now().broker
    },
    get schema() {
      return now().schema
    },
    get env() {
      return envOf(now().schema)
    },
    get logged() {
      return now().lines
    },
    connect: another,
    async work({ env, ...given } = {}) {
      const { app, log, ends } = now()
      const { database, broker } = await another(env)
      // As in src/commands/worker.ts, the outbox relay runs beside the worker.
      const relay = await startOutboxRelay(database, broker, log)
      ends.push(() => relay.stop())
      const park = (message: Message, dueAt: Date) => parkInOutbox(database, message, dueAt)
      const worker = await startWorker({ ...WORKER, app, broker, log, queues, park, name: nameOfWorker(), ...given })
      ends.push(() => worker.stop())
      return worker
    },
    async process(app, { env = {}, args = [] } = {}) {
      const { schema, ends } = now()
      const more = { LOG_LEVEL: 'info', ...envOf(schema), ...env }
      const role = await startRole('worker', more, ['--app', app, '-Q', queues.join(','), ...args], { main: 'src/main.ts' })
      ends.push(async () => {
        role.kill('SIGKILL')
        await role.exited
      })
      return role
    },
    ended(id, timeoutMs) {
      const { results } = now()
      return until(`the end of ${id}`, async () => finalOf(await results.find(id)), timeoutMs)
    },
    rows(text, values) {
      const { schema } = now()
      return query(schema.url, text.replaceAll(/\$(?=[a-z])/g, `"${schema.schema}".`), values)
    },
  }
}

const WORKER = { concurrency: 4, maxDeliveries: 3, graceMs: 2000 }
const nameOfWorker = () => `celery@${randomBytes(3).toString('hex')}`

const finalOf = (stored: StoredResult | undefined) =>
  stored !== undefined && READY_STATES.has(stored.state) ? stored : undefined

async function connect(schema: TestSchema, env: Record<string, string>, log: Log) {
  const database = schema.open({ env, log })
  const broker = await chooseBroker(database, parseConfig(env), { name: 'test', log })
  return { database, broker, results: createResults(database) }
}
