import { hostname } from 'node:os'
import { parseArgs } from 'node:util'
import { createPlanner } from '../app/canvas/plan.ts'
import { chooseBroker } from '../broker/open-broker.ts'
import { startOutboxRelay } from '../broker/outbox/relay.ts'
import { aborted } from '../concurrency/sleep.ts'
import { createControl } from '../control/start-control.ts'
import { parkInOutbox } from '../database/outbox.ts'
import { createQueueSettings } from '../database/queue-settings.ts'
import { createRateLimits } from '../database/rate-limits.ts'
import { createResults } from '../database/results.ts'
import { createRevocations } from '../database/revocations.ts'
import { startStep } from '../database/start-step.ts'
import { createTaskReports } from '../database/task-reports.ts'
import type { Log } from '../log.ts'
import type { Message } from '../message/message.ts'
import { registerCanvasTasks } from '../tasks/canvas.ts'
import { registerShippedTasks } from '../tasks/shipped.ts'
import { createRateLimiter } from '../worker/attempt/rate-limiter.ts'
import { createReporter } from '../worker/attempt/run-report.ts'
import { startGatedWorker } from '../worker/queue-gate.ts'
import { startRevocations } from '../worker/revocations.ts'
import type { Worker } from '../worker/worker.ts'
import { createBackend } from './backend.ts'
import { loadApp } from './load-app.ts'
import { logLevel } from './log-level.ts'
import { optionEnv } from './option-env.ts'
import { type Role, runRole } from './role.ts'
import { slotsOf, whereCodeRuns } from './where-code-runs.ts'

export const help = `onedyno worker: runs tasks.

Usage: onedyno worker [options]

  -c, --concurrency N   tasks in flight at once (CONCURRENCY, default 10)
  -Q, --queues A,B      queues to take from (QUEUES, default celery)
  -B, --beat            also sends periodic tasks, as \`onedyno beat\` does
      --app FILE        module that exports your application (ONEDYNO_APP)
  -l, --loglevel LEVEL  debug, info, warn, error, silent (LOG_LEVEL, default info)
  -n, --hostname NAME   name of this worker (default celery@<host>)
      --pool POOL       async, or thread for tasks that compute (WORKER_POOL, default async)
      --max-tasks N     exits 0 after N tasks, for a fresh start by its supervisor (WORKER_MAX_TASKS)
      --max-memory MB   the same when it uses more memory (WORKER_MAX_MEMORY)
      --time-limit S        seconds after which a run is over (TASK_TIME_LIMIT, default none)
      --soft-time-limit S   seconds after which its signal aborts (TASK_SOFT_TIME_LIMIT, default none)
  -E, --events          sends events for Flower and \`celery events\` (WORKER_EVENTS, default off)
  -h, --help            this text

SIGTERM or SIGINT: takes no more tasks, gives running ones SHUTDOWN_TIMEOUT less 2 seconds to finish, requeues the rest, exits 0.
Exit codes: 0 stopped when asked · 64 usage · 69 unavailable · 70 bug · 78 configuration`

/** Milliseconds that are left after the last task for storing outcomes and closing connections. */
const CLOSING_MS = 2000

/** Runs `onedyno worker`. @returns the exit status */
export async function run(argv: readonly string[], env: NodeJS.ProcessEnv): Promise<number> {
  const options = parse(argv)
  return runRole('worker', { ...env, ...options.env }, (role) => runWorker(role, options))
}

/** Runs until the role stops, a person shuts the worker down, or the worker is recycled. */
async function runWorker(role: Role, options: Options): Promise<void> {
  const { log, database, signal } = role
  const opened = await openApp(role, options.app)
  const relay = await startOutboxRelay(database, opened.broker, log)
  const beat = options.beat ? await (await import('./beat.ts')).startBeatBeside(role) : undefined
  const { worker, code, control, revoked, ended } = await startParts(role, opened, options.name)
  const unguard = guardTasks(log, () => worker.running)
  await aborted(AbortSignal.any([signal, ended]))
  // All three stop in parallel, so that each can use the whole time.
  await Promise.all([beat?.stop(), relay.stop(), worker.stop()])
  await code.close()
  await control?.stop()
  await revoked.stop()
  await opened.broker.close()
  unguard()
}

type OpenedApp = Awaited<ReturnType<typeof openApp>>

/** Loads the application and connects it to the broker and to the stored results. */
async function openApp({ config, log, database, fail }: Role, file: string | undefined) {
  const appModule = file ?? config.appModule
  const app = await loadApp(appModule)
  const broker = await chooseBroker(database, config, { name: 'worker', log, onRefused: fail })
  const results = createResults(database, { log, planner: createPlanner(app.routeOf) })
  registerShippedTasks(app, { config, log, results })
  registerCanvasTasks(app, { config, results })
  const backend = createBackend(database, broker, results)
  app.connect(backend)
  return { app, appModule, broker, results, backend }
}

/**
 * Starts the worker with its revokes, its remote control and the places where code runs. `ended` aborts when the worker has to
 * exit.
 */
async function startParts(role: Role, opened: OpenedApp, name: string) {
  const { config, log, database, signal } = role
  const { app, broker } = opened
  const settings = createQueueSettings(database)
  await startStep(() => settings.declare(app.queues), signal)
  const ending = new AbortController()
  const shutdown = () => ending.abort()
  let worker: Worker | undefined
  const revocations = createRevocations(database)
  const revoked = await startRevocations(revocations, log, (matches) => terminateAll(worker, matches))
  const listening = { broker, config, log, hostname: name, tasks: app.tasks, events: config.events === 'on', shutdown }
  const control =
    config.remoteControl === 'off' ? undefined : await createControl({ ...listening, revoked, revoke: revocations.revoke })
  const recycle = (idle: Promise<void>) => void makeRoom(worker, Promise.race([idle, aborted(signal)])).finally(shutdown)
  const code = whereCodeRuns({ ...opened, config, log, name, worker: () => worker, recycle })
  const { runner, watch } = code
  const observing = { observer: control?.observer, isRevoked: revoked.isRevoked, runner, watch }
  worker = await startGatedWorker({ ...workerOptions(role, opened, name), ...observing }, database, settings)
  control?.attach(worker)
  return { worker, code, control, revoked, ended: ending.signal }
}

/** Returns the options of the worker that come from the configuration and the database. */
function workerOptions({ config, log, database, signal }: Role, { app, broker }: OpenedApp, name: string) {
  return {
    app,
    broker,
    log,
    name,
    queues: config.queues,
    concurrency: slotsOf(config),
    maxDeliveries: config.maxDeliveries,
    graceMs: Math.max(0, config.shutdownMs - CLOSING_MS),
    park: (message: Message, dueAt: Date) => parkInOutbox(database, message, dueAt),
    timeLimits: { soft: config.softTimeLimitSeconds, hard: config.timeLimitSeconds },
    resultMaxBytes: config.resultMaxBytes,
    limiter: createRateLimiter({ log, limits: createRateLimits(database, signal) }),
    reporter: createReporter(createTaskReports(database, name), log),
    tracing: true,
  }
}

/**
 * Takes no more messages and requeues the waiting ones. Running tasks have no time limit in this case, because nobody stopped
 * the worker.
 */
async function makeRoom(worker: Worker | undefined, idle: Promise<void>): Promise<void> {
  await worker?.reconfigure({ queues: [] }).catch(() => {})
  await idle
}

function terminateAll(worker: Worker | undefined, matches: (message: Message) => boolean): void {
  for (const { delivery } of worker?.active() ?? []) if (matches(delivery.message)) worker?.terminate(delivery.message.headers.id)
}

/**
 * Guards the worker against faults of tasks. If a task leaves a rejected promise without a handler, the worker continues. An
 * exception outside every promise ends it, because the state after the exception is unknown. `process.exit()` in a task ends it
 * too. Both are logged, and another worker gets the running tasks.
 */
function guardTasks(log: Log, running: () => number): () => void {
  const onRejection = (err: unknown) => log.error({ err }, 'unhandled rejection in a task, the worker goes on')
  const onException = (err: unknown) => {
    log.error({ err, running: running() }, 'uncaught exception, the worker exits')
    process.exit(70)
  }
  const onExit = (code: number) => {
    log.error({ code, running: running() }, 'the worker exits unexpectedly, its messages are redelivered')
  }
  process.on('unhandledRejection', onRejection).on('uncaughtException', onException).on('exit', onExit)
  return () => {
    process.off('unhandledRejection', onRejection).off('uncaughtException', onException).off('exit', onExit)
  }
}

/** The variable that each option of the command stands for. */
const VARIABLES = {
  concurrency: 'CONCURRENCY',
  queues: 'QUEUES',
  pool: 'WORKER_POOL',
  'max-tasks': 'WORKER_MAX_TASKS',
  'max-memory': 'WORKER_MAX_MEMORY',
  'time-limit': 'TASK_TIME_LIMIT',
  'soft-time-limit': 'TASK_SOFT_TIME_LIMIT',
} as const

type Options = ReturnType<typeof parse>

function parse(argv: readonly string[]) {
  const { values } = parseArgs({
    args: [...argv],
    options: {
      concurrency: { type: 'string', short: 'c' },
      queues: { type: 'string', short: 'Q' },
      beat: { type: 'boolean', short: 'B', default: false },
      app: { type: 'string' },
      loglevel: { type: 'string', short: 'l' },
      pool: { type: 'string' },
      'max-tasks': { type: 'string' },
      'time-limit': { type: 'string' },
      'soft-time-limit': { type: 'string' },
      'max-memory': { type: 'string' },
      events: { type: 'boolean', short: 'E', default: false },
      hostname: { type: 'string', short: 'n', default: `celery@${hostname()}` },
    },
  })
  const env = optionEnv(VARIABLES, values)
  if (values.events) env.WORKER_EVENTS = 'on'
  if (values.loglevel !== undefined) env.LOG_LEVEL = logLevel(values.loglevel)
  return { env, beat: values.beat, app: values.app, name: values.hostname }
}
