import { AppError } from './errors.ts'
import { LOG_LEVELS, type LogFormat, type LogLevel, maskUrl } from './log-text.ts'

export type Environment = Readonly<Record<string, string | undefined>>

/** How one variable is read. `why` is one sentence on when to change it; docs/config.md is checked against this table. */
interface Option {
  readonly unit:
    | 'text'
    | 'URL'
    | 'milliseconds'
    | 'seconds'
    | 'minutes'
    | 'number'
    | 'choice'
    | 'port'
    | 'bytes'
    | 'megabytes'
    | 'list'
    | 'secret'
  readonly fallback?: string
  readonly min?: number
  readonly max?: number
  readonly choices?: readonly string[]
  readonly why: string
}

/** Every variable that `onedyno` itself reads: one place for name, unit, default and reason. */
export const OPTIONS = {
  DATABASE_URL: {
    unit: 'URL',
    why: 'PostgreSQL. When unset, `onedyno start` brings its own server and sets it for its children.',
  },
  DATABASE_SCHEMA: { unit: 'text', fallback: 'onedyno', why: 'Lets several applications share one database.' },
  DATABASE_SSL: {
    unit: 'choice',
    fallback: 'auto',
    choices: ['auto', 'off', 'no-verify', 'verify-full'],
    why: 'auto: what `sslmode` in the URL says, else off for this machine and private names, no-verify on Heroku, verify-full elsewhere.',
  },
  DATABASE_POOL: {
    unit: 'number',
    fallback: '2',
    min: 1,
    max: 100,
    why: 'Connections of one process, beside the one that listens. Small plans allow 20 in all.',
  },
  ONEDYNO_BROKER: {
    unit: 'choice',
    fallback: 'auto',
    choices: ['auto', 'amqp', 'redis', 'postgres'],
    why: 'auto: RabbitMQ when one of its URLs is set, else Redis, else PostgreSQL. Name one when a URL is there for something else, such as a cache.',
  },
  CLOUDAMQP_URL: { unit: 'URL', why: 'RabbitMQ as the broker; set by the CloudAMQP add-on.' },
  RABBITMQ_URL: { unit: 'URL', why: 'RabbitMQ as the broker, when CLOUDAMQP_URL is not set.' },
  AMQP_URL: { unit: 'URL', why: 'RabbitMQ as the broker, when neither CLOUDAMQP_URL nor RABBITMQ_URL is set.' },
  RABBITMQ_BIGWIG_TX_URL: { unit: 'URL', why: 'RabbitMQ for publishing, where the provider has a URL for each direction.' },
  RABBITMQ_BIGWIG_RX_URL: { unit: 'URL', why: 'RabbitMQ for consuming, where the provider has a URL for each direction.' },
  ONEDYNO_QUEUE_TYPE: {
    unit: 'choice',
    fallback: 'classic',
    choices: ['classic', 'quorum'],
    why: 'quorum: queues of RabbitMQ that are made here are replicated in its cluster. Existing ones are used as they are.',
  },
  ONEDYNO_QUEUE_MAX_PRIORITY: {
    unit: 'number',
    fallback: '0',
    min: 0,
    max: 255,
    why: "RabbitMQ only: priorities of queues that are made here, as Celery's task_queue_max_priority. 0: none, as its default declaration.",
  },
  REDISCLOUD_URL: { unit: 'URL', why: 'Redis as the broker; set by the Redis Cloud add-on.' },
  REDIS_URL: { unit: 'URL', why: 'Redis as the broker, when REDISCLOUD_URL is not set.' },
  REDISTOGO_URL: { unit: 'URL', why: 'Redis as the broker, when neither REDISCLOUD_URL nor REDIS_URL is set.' },
  RESULT_MIRROR: {
    unit: 'text',
    fallback: 'off',
    why: "off, redis or a redis:// URL: results are also written to that Redis (redis: the broker's own), where Celery clients with this result backend look for them.",
  },
  RESULT_COLLECT: {
    unit: 'choice',
    fallback: 'off',
    choices: ['off', 'on'],
    why: 'on: results of tasks that Python workers run are brought to the database, so that get() and the pages know them. Only where there are such workers: it costs a reply queue, or one connection to Redis, in each process.',
  },
  PUBLISH_TIMEOUT: {
    unit: 'seconds',
    fallback: '5',
    min: 0,
    max: 300,
    why: 'How long delay() tries again while the broker cannot be reached, before it rejects (PostgreSQL) or keeps the message in the outbox (RabbitMQ, Redis).',
  },
  TASK_TIME_LIMIT: {
    unit: 'seconds',
    fallback: '0',
    min: 0,
    max: 2_000_000,
    why: 'A run that takes longer is over, as FAILURE (TimeLimitExceeded), where neither its message nor its task has a limit. 0: none. `--time-limit` wins.',
  },
  TASK_SOFT_TIME_LIMIT: {
    unit: 'seconds',
    fallback: '0',
    min: 0,
    max: 2_000_000,
    why: 'After so long the signal of a task aborts, where neither its message nor its task has a limit. 0: none. `--soft-time-limit` wins.',
  },
  RESULT_MAX_BYTES: {
    unit: 'bytes',
    fallback: '10485760',
    min: 1,
    max: 104_857_600,
    why: 'A result whose JSON is larger is not stored, and its run is a FAILURE (ResultTooLarge): what is big belongs elsewhere, the result says where.',
  },
  RESULT_TTL: {
    unit: 'seconds',
    fallback: '86400',
    min: 60,
    max: 315_360_000,
    why: 'Results older than this are deleted by `onedyno.clean_up`.',
  },
  MAX_DELIVERIES: {
    unit: 'number',
    fallback: '3',
    min: 1,
    max: 100,
    why: 'A task that ended its worker this often is recorded as FAILURE (WorkerLostError).',
  },
  CONCURRENCY: {
    unit: 'number',
    fallback: '10',
    min: 1,
    max: 1000,
    why: 'Tasks in flight in one worker process; `-c` of the command wins.',
  },
  WORKER_POOL: {
    unit: 'choice',
    fallback: 'async',
    choices: ['async', 'thread'],
    why: 'thread: tasks that do not say `pool` run in worker threads, for code that keeps the CPU busy; `--pool` of the command wins.',
  },
  WORKER_THREADS: {
    unit: 'number',
    fallback: '0',
    min: 0,
    max: 256,
    why: 'Threads at most in one worker. 0: as many as the machine has cores. Never more than CONCURRENCY.',
  },
  WORKER_THREAD_MEMORY: {
    unit: 'megabytes',
    fallback: '128',
    min: 16,
    max: 65_536,
    why: 'Heap of one thread: a task that needs more ends its thread, not the worker.',
  },
  WORKER_MAX_TASKS: {
    unit: 'number',
    fallback: '0',
    min: 0,
    max: 1_000_000_000,
    why: 'After so many tasks the worker finishes what runs and exits 0, so that a supervisor starts a fresh one. 0: never. `--max-tasks` wins.',
  },
  WORKER_MAX_MEMORY: {
    unit: 'megabytes',
    fallback: '0',
    min: 0,
    max: 1_048_576,
    why: 'The same when the process holds more memory than that (RSS) after a task. 0: never. `--max-memory` wins.',
  },
  LOOP_BLOCKED_MS: {
    unit: 'milliseconds',
    fallback: '1000',
    min: 0,
    max: 3_600_000,
    why: 'A task that keeps the event loop of its worker so long is named in the log. 0: nobody looks.',
  },
  QUEUES: {
    unit: 'list',
    fallback: 'celery',
    why: 'Queues that the worker takes from, comma-separated; `-Q` of the command wins.',
  },
  WORKER_REMOTE_CONTROL: {
    unit: 'choice',
    fallback: 'on',
    choices: ['on', 'off'],
    why: 'on: the worker answers `onedyno inspect` and `celery inspect`. It costs no messages while nobody asks; off where nobody but you should be able to.',
  },
  WORKER_EVENTS: {
    unit: 'choice',
    fallback: 'off',
    choices: ['off', 'on'],
    why: 'on: task and heartbeat events for Flower and `celery events`, as `--events` of the command. Each is a message of a metered broker.',
  },
  ONEDYNO_APP: { unit: 'text', why: 'The module with your tasks; `--app` of the command wins.' },
  BEAT_TIMEZONE: { unit: 'text', fallback: 'UTC', why: 'IANA time zone of schedules that name none.' },
  PUBLIC_URL: {
    unit: 'URL',
    why: 'Where this application is reached from outside: links and keep-awake use it. Found by itself on Heroku, Render and Koyeb.',
  },
  KEEP_AWAKE: {
    unit: 'minutes',
    fallback: 'auto',
    why: 'auto, off or minutes between two visits of the own public URL. auto: only where a public URL is known and the platform puts idle services to sleep.',
  },
  FETCH_ALLOW: { unit: 'list', fallback: '', why: 'host:port pairs that `tasks.fetch_url` may reach although they are private.' },
  FETCH_MAX_BYTES: {
    unit: 'bytes',
    fallback: '1048576',
    min: 1,
    max: 104_857_600,
    why: 'Largest body that `tasks.fetch_url` reads.',
  },
  FETCH_TIMEOUT: {
    unit: 'seconds',
    fallback: '20',
    min: 1,
    max: 600,
    why: 'Longest time for one `tasks.fetch_url`, redirects included.',
  },
  CONSOLE_PASSWORD: { unit: 'secret', why: 'Opens the form and the console. In production they stay closed without it.' },
  PORT: { unit: 'port', fallback: '5000', min: 0, max: 65_535, why: 'Where the web process listens; platforms set it.' },
  HOST: { unit: 'text', why: 'Address to listen on. Default: every address in production, 127.0.0.1 elsewhere.' },
  SHUTDOWN_TIMEOUT: {
    unit: 'seconds',
    fallback: '25',
    min: 1,
    max: 3600,
    why: 'From the first SIGTERM to SIGKILL. Heroku allows 30; roles stop 2 seconds earlier to record what they hold.',
  },
  LOG_LEVEL: { unit: 'choice', fallback: 'info', choices: LOG_LEVELS, why: 'What is logged; `--loglevel` of a command wins.' },
  LOG_FORMAT: { unit: 'choice', fallback: 'text', choices: ['text', 'json'], why: 'text for people, json for machines.' },
  NODE_ENV: { unit: 'text', why: '`production` closes the console without a password and listens on every address.' },
  EMBEDDED_POSTGRES: {
    unit: 'choice',
    fallback: 'auto',
    choices: ['auto', 'system', 'bundled'],
    why: 'Which server `onedyno start` brings up when DATABASE_URL is unset: the installed one, the bundled one, or whichever is there.',
  },
} as const satisfies Record<string, Option>

export type OptionName = keyof typeof OPTIONS

export interface Config {
  /** Unset until `onedyno start` or the platform sets it; roles call `requireDatabaseUrl`. */
  readonly databaseUrl: string | undefined
  readonly databaseSchema: string
  readonly databaseSsl: 'auto' | 'off' | 'no-verify' | 'verify-full'
  readonly databasePool: number
  readonly broker: BrokerChoice
  readonly queueType: 'classic' | 'quorum'
  /** x-max-priority of queues that are declared; 0: none. */
  readonly queueMaxPriority: number
  /** `redis`: the Redis of the broker. */
  readonly resultMirror: 'off' | 'redis' | { readonly url: string }
  readonly resultCollect: 'off' | 'on'
  readonly publishTimeoutMs: number
  /** Undefined: none. */
  readonly timeLimitSeconds: number | undefined
  /** Undefined: none. */
  readonly softTimeLimitSeconds: number | undefined
  readonly resultMaxBytes: number
  readonly resultTtlSeconds: number
  readonly maxDeliveries: number
  readonly concurrency: number
  readonly pool: 'async' | 'thread'
  /** 0: as many as the machine has cores. */
  readonly threads: number
  /** Heap of one, in megabytes. */
  readonly threadMemoryMb: number
  /** 0: no limit. */
  readonly maxTasks: number
  /** 0: no limit. */
  readonly maxMemoryMb: number
  /** 0: the event loop is not watched. */
  readonly loopBlockedMs: number
  readonly queues: readonly string[]
  readonly remoteControl: 'on' | 'off'
  readonly events: 'on' | 'off'
  readonly appModule: string | undefined
  readonly beatTimezone: string
  /** Origin such as `https://example.org`, without a path. */
  readonly publicUrl: string | undefined
  readonly keepAwake: 'auto' | 'off' | { readonly minutes: number }
  readonly platform: Platform
  readonly production: boolean
  readonly fetchAllow: readonly string[]
  readonly fetchMaxBytes: number
  readonly fetchTimeoutMs: number
  readonly consolePassword: string | undefined
  readonly port: number
  readonly host: string
  readonly shutdownMs: number
  readonly logLevel: LogLevel
  readonly logFormat: LogFormat
  /** True when nothing else puts a time before a line: neither a supervisor nor a platform. */
  readonly logStamp: boolean
  /** `worker.1` under a supervisor, `web.1` on a platform, else undefined. */
  readonly processName: string | undefined
}

/** Which broker is used, and why. */
export type BrokerChoice =
  | { readonly kind: 'postgres'; readonly why: string }
  | { readonly kind: 'redis'; readonly why: string; readonly url: string }
  | { readonly kind: 'amqp'; readonly why: string; readonly publishUrl: string; readonly consumeUrl: string }

/** Where this process runs, as far as the environment tells. */
export type Platform = 'heroku' | 'render' | 'koyeb' | 'fly' | 'railway' | 'cloud-run' | 'kubernetes' | 'none'

/**
 * Reads all variables at once and freezes the result. An empty value counts as unset.
 * @throws AppError CONFIG_INVALID naming every problem, not only the first
 */
export function parseConfig(env: Environment): Config {
  const problems: string[] = []
  const read = readerOf(env, problems)
  const platform = detectPlatform(env)
  const production = env.NODE_ENV === 'production' || (platform !== 'none' && env.NODE_ENV !== 'development')
  const broker = readBroker(read, problems)
  const config: Config = {
    databaseUrl: read.url('DATABASE_URL', ['postgres:', 'postgresql:']),
    databaseSchema: readSchema(read, problems),
    databaseSsl: read.choice('DATABASE_SSL'),
    databasePool: read.number('DATABASE_POOL'),
    broker,
    queueType: read.choice('ONEDYNO_QUEUE_TYPE'),
    queueMaxPriority: read.number('ONEDYNO_QUEUE_MAX_PRIORITY'),
    resultMirror: readResultMirror(read, broker, problems),
    resultCollect: read.choice('RESULT_COLLECT'),
    publishTimeoutMs: read.number('PUBLISH_TIMEOUT') * 1000,
    timeLimitSeconds: read.number('TASK_TIME_LIMIT') || undefined,
    softTimeLimitSeconds: read.number('TASK_SOFT_TIME_LIMIT') || undefined,
    resultMaxBytes: read.number('RESULT_MAX_BYTES'),
    resultTtlSeconds: read.number('RESULT_TTL'),
    maxDeliveries: read.number('MAX_DELIVERIES'),
    concurrency: read.number('CONCURRENCY'),
    pool: read.choice('WORKER_POOL'),
    threads: read.number('WORKER_THREADS'),
    threadMemoryMb: read.number('WORKER_THREAD_MEMORY'),
    maxTasks: read.number('WORKER_MAX_TASKS'),
    maxMemoryMb: read.number('WORKER_MAX_MEMORY'),
    loopBlockedMs: read.number('LOOP_BLOCKED_MS'),
    queues: read.list('QUEUES'),
    remoteControl: read.choice('WORKER_REMOTE_CONTROL'),
    events: read.choice('WORKER_EVENTS'),
    appModule: read.text('ONEDYNO_APP'),
    beatTimezone: readTimezone(read, problems),
    publicUrl: readPublicUrl(env, read),
    keepAwake: readKeepAwake(read, problems),
    platform,
    production,
    fetchAllow: readFetchAllow(read, problems),
    fetchMaxBytes: read.number('FETCH_MAX_BYTES'),
    fetchTimeoutMs: read.number('FETCH_TIMEOUT') * 1000,
    consolePassword: read.text('CONSOLE_PASSWORD'),
    port: read.number('PORT'),
    host: read.text('HOST') ?? (production ? '::' : '127.0.0.1'),
    shutdownMs: read.number('SHUTDOWN_TIMEOUT') * 1000,
    logLevel: read.choice('LOG_LEVEL'),
    logFormat: read.choice('LOG_FORMAT'),
    logStamp: !env.ONEDYNO_PROCESS && !env.JOURNAL_STREAM && platform === 'none',
    processName: env.ONEDYNO_PROCESS || env.DYNO || undefined,
  }
  if (problems.length > 0) throw new AppError('CONFIG_INVALID', problems.join('; '))
  return Object.freeze(config)
}

/** @throws AppError CONFIG_INVALID when there is no database to work with */
export function requireDatabaseUrl(config: Config): string {
  if (config.databaseUrl !== undefined) return config.databaseUrl
  throw new AppError(
    'CONFIG_INVALID',
    'DATABASE_URL is not set (`onedyno start` sets it for its children and brings a server when there is none)',
  )
}

function readerOf(env: Environment, problems: string[]) {
  const option = (name: OptionName): Option => OPTIONS[name]
  const text = (name: OptionName): string | undefined => {
    const value = env[name] ?? ''
    return value === '' ? option(name).fallback : value
  }
  return {
    text,
    number(name: OptionName): number {
      const raw = text(name) ?? ''
      const { min = 0, max = Number.MAX_SAFE_INTEGER, unit } = option(name)
      if (/^[0-9]{1,15}$/.test(raw) && Number(raw) >= min && Number(raw) <= max) return Number(raw)
      problems.push(
        `${name}=${JSON.stringify(raw)} is not a whole number of ${min} to ${max}${unit === 'number' || unit === 'port' ? '' : ` ${unit}`}`,
      )
      return min
    },
    choice<T extends string>(name: OptionName): T {
      const raw = text(name) ?? ''
      const choices = option(name).choices ?? []
      if (!choices.includes(raw)) problems.push(`${name}=${JSON.stringify(raw)} is not one of ${choices.join(', ')}`)
      return raw as T
    },
    url(name: OptionName, protocols: readonly string[]): string | undefined {
      const raw = text(name)
      if (raw === undefined || isUrl(raw, protocols)) return raw
      problems.push(`${name}=${maskUrl(raw)} does not begin with ${protocols.map((protocol) => `${protocol}//`).join(' or ')}`)
      return undefined
    },
    list: (name: OptionName): string[] =>
      (text(name) ?? '')
        .split(',')
        .map((item) => item.trim())
        .filter((item) => item !== ''),
  }
}

type Reader = ReturnType<typeof readerOf>

/** `postgresql://user@/db?host=/socket` has no host, which the WHATWG parser refuses for some schemes: only the beginning is checked. */
const isUrl = (raw: string, protocols: readonly string[]) => protocols.some((protocol) => raw.startsWith(`${protocol}//`))

const AMQP_VARIABLES = ['CLOUDAMQP_URL', 'RABBITMQ_URL', 'AMQP_URL'] as const
const REDIS_VARIABLES = ['REDISCLOUD_URL', 'REDIS_URL', 'REDISTOGO_URL'] as const

/** One environment variable decides (docs/config.md): RabbitMQ before Redis before PostgreSQL, unless ONEDYNO_BROKER names one. */
function readBroker(read: Reader, problems: string[]): BrokerChoice {
  const asked = read.choice<'auto' | BrokerChoice['kind']>('ONEDYNO_BROKER')
  const found = { amqp: readAmqp(read, problems), redis: readRedis(read) }
  if (asked === 'postgres') return { kind: 'postgres', why: 'ONEDYNO_BROKER says so' }
  if (asked === 'amqp' || asked === 'redis') {
    const choice = found[asked]
    if (choice !== undefined) return choice
    problems.push(
      `ONEDYNO_BROKER=${asked}, but none of ${(asked === 'amqp' ? AMQP_VARIABLES : REDIS_VARIABLES).join(', ')} is set`,
    )
  }
  return found.amqp ?? found.redis ?? { kind: 'postgres', why: 'no URL of RabbitMQ or Redis is set' }
}

function readAmqp(read: Reader, problems: string[]): BrokerChoice | undefined {
  const url = (name: OptionName) => {
    const given = read.url(name, ['amqp:', 'amqps:'])
    if (given === undefined || URL.canParse(given)) return given
    problems.push(`${name} is not a URL such as amqps://user:password@host/vhost`)
    return undefined
  }
  const variable = AMQP_VARIABLES.find((name) => read.text(name) !== undefined)
  const both = variable === undefined ? undefined : url(variable)
  const publishUrl = url('RABBITMQ_BIGWIG_TX_URL') ?? both
  const consumeUrl = url('RABBITMQ_BIGWIG_RX_URL') ?? both
  if (publishUrl === undefined && consumeUrl === undefined) return undefined
  const why = `${variable ?? 'RABBITMQ_BIGWIG_TX_URL'} is set`
  return { kind: 'amqp', why, publishUrl: publishUrl ?? consumeUrl!, consumeUrl: consumeUrl ?? publishUrl! }
}

function readRedis(read: Reader): BrokerChoice | undefined {
  const variable = REDIS_VARIABLES.find((name) => read.text(name) !== undefined)
  const url = variable === undefined ? undefined : read.url(variable, ['redis:', 'rediss:'])
  return url === undefined ? undefined : { kind: 'redis', why: `${variable} is set`, url }
}

function readResultMirror(read: Reader, broker: BrokerChoice, problems: string[]): Config['resultMirror'] {
  const raw = read.text('RESULT_MIRROR') ?? 'off'
  if (raw === 'off') return raw
  if (raw === 'redis') {
    if (broker.kind !== 'redis')
      problems.push(`RESULT_MIRROR=redis means the Redis of the broker, which is ${broker.kind} here: give a redis:// URL`)
    return raw
  }
  if (isUrl(raw, ['redis:', 'rediss:']) && URL.canParse(raw)) return { url: raw }
  problems.push(
    `RESULT_MIRROR=${/^\w+$/.test(raw) ? raw : maskUrl(raw)} is not off, redis or a URL such as redis://user:password@host/0`,
  )
  return 'off'
}

function readSchema(read: Reader, problems: string[]): string {
  const name = read.text('DATABASE_SCHEMA') ?? ''
  if (!/^[a-z_][a-z0-9_]{0,40}$/.test(name))
    problems.push(`DATABASE_SCHEMA=${JSON.stringify(name)} is not 1 to 41 of a-z, 0-9 and _, not beginning with a digit`)
  return name
}

function readTimezone(read: Reader, problems: string[]): string {
  const name = read.text('BEAT_TIMEZONE') ?? ''
  try {
    if (!/^[A-Za-z]/.test(name)) throw new RangeError(name)
    new Intl.DateTimeFormat('en', { timeZone: name })
  } catch {
    problems.push(`BEAT_TIMEZONE=${JSON.stringify(name)} is not an IANA time zone such as Europe/Berlin`)
  }
  return name
}

function readKeepAwake(read: Reader, problems: string[]): Config['keepAwake'] {
  const raw = read.text('KEEP_AWAKE') ?? 'auto'
  if (raw === 'auto' || raw === 'off') return raw
  const minutes = Number(raw)
  if (!Number.isInteger(minutes) || minutes < 1 || minutes > 1440)
    problems.push(`KEEP_AWAKE=${JSON.stringify(raw)} is not auto, off or whole minutes of 1 to 1440`)
  return { minutes }
}

function readFetchAllow(read: Reader, problems: string[]): string[] {
  const pairs = read.list('FETCH_ALLOW')
  for (const pair of pairs)
    if (!/^(\[[0-9a-fA-F:.]+\]|[^:\s/]+):\d{1,5}$/.test(pair))
      problems.push(`FETCH_ALLOW: ${JSON.stringify(pair)} is not host:port`)
  return pairs
}

/** The first that is known (reference/web-platform.md §1.3): the operator's word, then what each platform sets by itself. */
function readPublicUrl(env: Environment, read: Reader): string | undefined {
  const explicit = read.url('PUBLIC_URL', ['http:', 'https:'])
  const found =
    explicit ?? env.RENDER_EXTERNAL_URL ?? hostUrl(env.HEROKU_APP_DEFAULT_DOMAIN_NAME) ?? hostUrl(env.KOYEB_PUBLIC_DOMAIN)
  return found !== undefined && URL.canParse(found) ? new URL(found).origin : undefined
}

const hostUrl = (host: string | undefined) => (host === undefined || host === '' ? undefined : `https://${host}`)

/** What each platform sets by itself; an empty value counts as unset here too. */
function detectPlatform(env: Environment): Platform {
  if (env.DYNO) return 'heroku'
  if (env.RENDER) return 'render'
  if (env.KOYEB_APP_NAME || env.KOYEB_PUBLIC_DOMAIN) return 'koyeb'
  if (env.FLY_APP_NAME) return 'fly'
  if (env.RAILWAY_ENVIRONMENT_NAME || env.RAILWAY_ENVIRONMENT) return 'railway'
  if (env.K_SERVICE) return 'cloud-run'
  return env.KUBERNETES_SERVICE_HOST ? 'kubernetes' : 'none'
}
