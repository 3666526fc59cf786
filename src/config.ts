import {
  type BrokerChoice,
  detectPlatform,
  type Environment,
  type KeepAwake,
  type Platform,
  type ResultMirror,
  readBroker,
  readDatabaseUrl,
  readerOf,
  readFetchAllow,
  readKeepAwake,
  readPublicUrl,
  readResultMirror,
  readSchema,
  readTimezone,
  resultKeyPrefix,
} from './config-values.ts'
import { AppError } from './errors.ts'
import type { LogFormat, LogLevel } from './log-text.ts'

export type { BrokerChoice, Environment, Platform } from './config-values.ts'

export interface Config {
  /** Undefined until `onedyno start` or the platform sets it. Roles call `requireDatabaseUrl`. */
  readonly databaseUrl: string | undefined
  readonly databaseSchema: string
  readonly databaseSsl: 'auto' | 'off' | 'no-verify' | 'verify-full'
  readonly databasePool: number
  readonly broker: BrokerChoice
  readonly queueType: 'classic' | 'quorum'
  /** `x-max-priority` of the queues that this process declares; 0: no priorities. */
  readonly queueMaxPriority: number
  readonly resultMirror: ResultMirror
  /** Prefix of each key in the broker's Redis, as kombu's `global_keyprefix`. */
  readonly redisKeyPrefix: string
  /** Prefix of each result key in Redis, as `global_keyprefix` of Celery's result backend. */
  readonly resultKeyPrefix: string
  readonly resultCollect: 'off' | 'on'
  readonly publishTimeoutMs: number
  /** Undefined means no limit. */
  readonly timeLimitSeconds: number | undefined
  /** Undefined means no limit. */
  readonly softTimeLimitSeconds: number | undefined
  readonly resultMaxBytes: number
  readonly resultTtlSeconds: number
  readonly maxDeliveries: number
  readonly concurrency: number
  readonly pool: 'async' | 'thread'
  /** 0: as many threads as the machine has cores. */
  readonly threads: number
  /** Heap limit of one thread, in megabytes. */
  readonly threadMemoryMb: number
  /** 0 means no limit. */
  readonly maxTasks: number
  /** 0 means no limit. */
  readonly maxMemoryMb: number
  /** 0 means that the event loop is not watched. */
  readonly loopBlockedMs: number
  readonly queues: readonly string[]
  readonly remoteControl: 'on' | 'off'
  readonly events: 'on' | 'off'
  readonly appModule: string | undefined
  readonly beatTimezone: string
  /** An origin such as `https://example.org`, without a path. */
  readonly publicUrl: string | undefined
  readonly keepAwake: KeepAwake
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
  /** True if neither a supervisor nor a platform adds a time to each line. */
  readonly logStamp: boolean
  /** `worker.1` under a supervisor, `web.1` on a platform, otherwise undefined. */
  readonly processName: string | undefined
}

/**
 * Reads all variables at once and freezes the configuration. An empty value counts as not set.
 * @throws AppError CONFIG_INVALID, with every problem in its message
 */
export function parseConfig(env: Environment): Config {
  const problems: string[] = []
  const read = readerOf(env, problems)
  const platform = detectPlatform(env)
  const production = env.NODE_ENV === 'production' || (platform !== 'none' && env.NODE_ENV !== 'development')
  const broker = readBroker(read, problems)
  const config: Config = {
    databaseUrl: readDatabaseUrl(read, problems),
    databaseSchema: readSchema(read, problems),
    databaseSsl: read.choice('DATABASE_SSL'),
    databasePool: read.number('DATABASE_POOL'),
    broker,
    queueType: read.choice('ONEDYNO_QUEUE_TYPE'),
    queueMaxPriority: read.number('ONEDYNO_QUEUE_MAX_PRIORITY'),
    resultMirror: readResultMirror(read, broker, problems),
    resultCollect: read.choice('RESULT_COLLECT'),
    redisKeyPrefix: read.text('REDIS_KEY_PREFIX') ?? '',
    resultKeyPrefix: resultKeyPrefix(read.text('RESULT_KEY_PREFIX') ?? ''),
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

/** Returns DATABASE_URL. @throws AppError CONFIG_INVALID if DATABASE_URL is not set */
export function requireDatabaseUrl(config: Config): string {
  if (config.databaseUrl !== undefined) return config.databaseUrl
  throw new AppError(
    'CONFIG_INVALID',
    'DATABASE_URL is not set (`onedyno start` sets it for its children and brings a server when there is none)',
  )
}
