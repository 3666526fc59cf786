import { LOG_LEVELS } from './log-text.ts'

/** Describes how a variable is read. `why` says when to change it. A test compares docs/config.md with this table. */
export interface Option {
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

/** Every variable that `onedyno` reads, with its unit, default and reason. */
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
  REDIS_MASTER_NAME: {
    unit: 'text',
    why: "With sentinel:// URLs: the name of the primary that the Sentinels watch, as kombu's option master_name.",
  },
  REDIS_KEY_PREFIX: {
    unit: 'text',
    why: "Before each key and channel of the broker's Redis, as kombu's option global_keyprefix. All clients and workers need the same.",
  },
  RESULT_KEY_PREFIX: {
    unit: 'text',
    why: "Before each key of RESULT_MIRROR and RESULT_COLLECT, as global_keyprefix of Celery's result backend.",
  },
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
