import type { Delivery } from '../broker/broker.ts'
import { maskUrl } from '../log-text.ts'
import { decodeBody, fullHeaders } from '../message/message.ts'
import { firstUrl } from '../server-url.ts'
import { type Arguments, brokerUrl, type Command, type Panel } from './panel.ts'
import { isTruthy, listOf } from './python-values.ts'
import { pythonRepr } from './repr.ts'

/** Read-only commands. Their answers have Celery's form (docs/internals/wire-protocol.md). */
export const INSPECT: Readonly<Record<string, Command>> = {
  ping: () => ({ ok: 'pong' }),
  clock: ({ clock }) => ({ clock: clock.value }),
  active: (panel, given) =>
    panel.worker.active().map(({ delivery, startedAt }) => requestInfo(panel, delivery, startedAt, isTruthy(given.safe))),
  reserved: (panel, given) =>
    panel.worker.reserved().map((delivery) => requestInfo(panel, delivery, undefined, isTruthy(given.safe))),
  // Empty, because messages with an eta wait in the outbox of the database, not in a worker.
  scheduled: () => [],
  registered: ({ tasks }) => [...tasks.keys()].sort(),
  revoked: ({ revoked }) => revoked.ids(),
  stats,
  active_queues: ({ worker }) => worker.queues.map(queueInfo),
  conf: configuration,
  report: (panel) => ({ ok: report(panel) }),
  query_task: queryTask,
}

/** Names under which old clients send the same commands. */
export const ALIASES: Readonly<Record<string, string>> = {
  dump_active: 'active',
  dump_reserved: 'reserved',
  dump_schedule: 'scheduled',
  dump_tasks: 'registered',
  dump_revoked: 'revoked',
  dump_conf: 'conf',
}

function requestInfo({ hostname }: Panel, { message, deliveries }: Delivery, startedAt: number | undefined, safe: boolean) {
  const { id, task } = message.headers
  return {
    id,
    name: task,
    ...argumentsOf(message, safe),
    type: task,
    hostname,
    time_start: startedAt === undefined ? null : startedAt / 1000,
    // Always false, because a message is acknowledged only after its outcome is stored.
    acknowledged: false,
    delivery_info: { exchange: '', routing_key: message.queue, priority: message.priority, redelivered: deliveries > 1 },
    worker_pid: startedAt === undefined ? null : process.pid,
  }
}

function argumentsOf(message: Delivery['message'], safe: boolean): { args: unknown; kwargs: unknown } {
  const { argsrepr = '', kwargsrepr = '' } = fullHeaders(message)
  if (safe) return { args: argsrepr, kwargs: kwargsrepr }
  try {
    const { args, kwargs } = decodeBody(message.body)
    return { args, kwargs }
  } catch {
    return { args: argsrepr, kwargs: kwargsrepr }
  }
}

function queryTask(panel: Panel, given: Arguments): Record<string, unknown> {
  const ids = new Set(listOf(given.ids))
  const running = panel.worker.active().map(({ delivery, startedAt }) => ['active', delivery, startedAt] as const)
  const waiting = panel.worker.reserved().map((delivery) => ['reserved', delivery, undefined] as const)
  const found = [...waiting, ...running].filter(([, { message }]) => ids.has(message.headers.id))
  return Object.fromEntries(
    found.map(([state, delivery, startedAt]) => [
      delivery.message.headers.id,
      [state, requestInfo(panel, delivery, startedAt, false)],
    ]),
  )
}

function stats({ worker, emitter, clock, since, config }: Panel) {
  const usage = process.resourceUsage()
  return {
    total: Object.fromEntries(emitter.totals),
    pid: process.pid,
    clock: String(clock.value),
    uptime: Math.round((performance.now() - since) / 1000),
    pool: {
      implementation: 'onedyno:event-loop',
      'max-concurrency': worker.concurrency,
      processes: [process.pid],
      'max-tasks-per-child': 'N/A',
      'put-guarded-by-semaphore': true,
      timeouts: [0, 0],
    },
    broker: brokerInfo(config.broker),
    prefetch_count: worker.concurrency,
    rusage: {
      utime: usage.userCPUTime / 1e6,
      stime: usage.systemCPUTime / 1e6,
      maxrss: usage.maxRSS,
      minflt: usage.minorPageFault,
      majflt: usage.majorPageFault,
      inblock: usage.fsRead,
      oublock: usage.fsWrite,
      nvcsw: usage.voluntaryContextSwitches,
      nivcsw: usage.involuntaryContextSwitches,
    },
  }
}

function brokerInfo(choice: Panel['config']['broker']) {
  const { hostname, username, pathname, port, protocol } = new URL(firstUrl(brokerUrl(choice) ?? 'postgresql://localhost'))
  const secure = protocol === 'amqps:' || protocol === 'rediss:'
  const defaultPort = { amqp: secure ? 5671 : 5672, redis: 6379, postgres: 5432 }[choice.kind]
  return {
    hostname,
    userid: username === '' ? null : decodeURIComponent(username),
    virtual_host: decodeURIComponent(pathname.slice(1)) || '/',
    port: port === '' ? defaultPort : Number(port),
    insist: false,
    ssl: secure,
    transport: choice.kind,
    connect_timeout: 15,
    transport_options: {},
    login_method: 'PLAIN',
    uri_prefix: null,
    heartbeat: choice.kind === 'amqp' ? 30 : 0,
    failover_strategy: 'round-robin',
    alternates: [],
  }
}

/** Returns all fields of kombu's `Queue.as_dict`. Flower reads name, exchange and routing_key. */
const queueInfo = (name: string) => ({
  name,
  exchange: {
    name,
    type: 'direct',
    arguments: null,
    durable: true,
    passive: false,
    auto_delete: false,
    delivery_mode: null,
    no_declare: false,
  },
  routing_key: name,
  queue_arguments: null,
  binding_arguments: null,
  consumer_arguments: null,
  durable: true,
  exclusive: false,
  auto_delete: false,
  no_ack: false,
  alias: null,
  bindings: [],
  no_declare: null,
  expires: null,
  message_ttl: null,
  max_length: null,
  max_length_bytes: null,
  max_priority: null,
})

/** Returns the settings of this worker under Celery's names. Passwords in URLs are masked. */
function configuration({ config, worker }: Panel): Record<string, unknown> {
  const url = brokerUrl(config.broker)
  return {
    broker_url: url === undefined ? 'postgresql' : maskUrl(url),
    result_backend: config.resultMirror === 'off' ? 'postgresql' : 'postgresql + redis',
    result_expires: config.resultTtlSeconds,
    worker_concurrency: worker.concurrency,
    task_queues: worker.queues,
    accept_content: ['json'],
    task_serializer: 'json',
    timezone: 'UTC',
    enable_utc: true,
    max_deliveries: config.maxDeliveries,
    shutdown_timeout: config.shutdownMs / 1000,
    publish_timeout: config.publishTimeoutMs / 1000,
  }
}

function report(panel: Panel): string {
  const settings = Object.entries(configuration(panel)).map(([name, value]) => `${name}: ${pythonRepr(value)}`)
  return [
    '',
    `software -> onedyno:${panel.version} node:${process.versions.node}`,
    `platform -> system:${process.platform} arch:${process.arch}`,
    `settings -> transport:${panel.config.broker.kind} results:postgresql`,
    '',
    ...settings,
    '',
  ].join('\n')
}
