import { maskUrl } from './log-text.ts'
import { OPTIONS, type Option, type OptionName } from './options.ts'
import { amqpUrls, postgresAddress, redisAddress, type Unusable, withMasterName } from './server-url.ts'

export type Environment = Readonly<Record<string, string | undefined>>

/** The broker that this process uses, and the reason. */
export type BrokerChoice =
  | { readonly kind: 'postgres'; readonly why: string }
  | { readonly kind: 'redis'; readonly why: string; readonly url: string }
  | { readonly kind: 'amqp'; readonly why: string; readonly publishUrl: string; readonly consumeUrl: string }

/** The platform on which this process runs, detected by the platform's variables. */
export type Platform = 'heroku' | 'render' | 'koyeb' | 'fly' | 'railway' | 'cloud-run' | 'kubernetes' | 'none'

/** `redis`: the Redis server that is also the broker. */
export type ResultMirror = 'off' | 'redis' | { readonly url: string }

export type KeepAwake = 'auto' | 'off' | { readonly minutes: number }

/**
 * Returns a reader of variables as src/options.ts declares them. Adds each invalid value to `problems`, under the variable's
 * name or under `givenAs`.
 */
export function readerOf(env: Environment, problems: string[], givenAs?: string) {
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
        `${givenAs ?? name}=${JSON.stringify(raw)} is not a whole number of ${min} to ${max}${unit === 'number' || unit === 'port' ? '' : ` ${unit}`}`,
      )
      return min
    },
    choice<T extends string>(name: OptionName): T {
      const raw = text(name) ?? ''
      const choices = option(name).choices ?? []
      if (!choices.includes(raw)) problems.push(`${givenAs ?? name}=${JSON.stringify(raw)} is not one of ${choices.join(', ')}`)
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

/**
 * Checks only the scheme: for some schemes the WHATWG parser refuses a URL without a host, such as
 * `postgresql://user@/db?host=/socket`.
 */
const isUrl = (raw: string, protocols: readonly string[]) => protocols.some((protocol) => raw.startsWith(`${protocol}//`))

const AMQP_VARIABLES = ['CLOUDAMQP_URL', 'RABBITMQ_URL', 'AMQP_URL'] as const
const REDIS_PROTOCOLS = ['redis:', 'rediss:', 'sentinel:'] as const
const REDIS_VARIABLES = ['REDISCLOUD_URL', 'REDIS_URL', 'REDISTOGO_URL'] as const

/**
 * Chooses RabbitMQ, else Redis, else PostgreSQL, by the URLs that are set. ONEDYNO_BROKER overrides this choice
 * (docs/config.md).
 */
export function readBroker(read: Reader, problems: string[]): BrokerChoice {
  const asked = read.choice<'auto' | BrokerChoice['kind']>('ONEDYNO_BROKER')
  // A URL that onedyno does not use, such as the URL of a cache, may have any form.
  if (asked === 'postgres') return { kind: 'postgres', why: 'ONEDYNO_BROKER says so' }
  const amqp = asked === 'redis' ? undefined : readAmqp(read, problems)
  const redis = asked === 'amqp' || amqp !== undefined ? undefined : readRedis(read, problems)
  if (asked !== 'auto' && (amqp ?? redis) === undefined) {
    const variables = asked === 'amqp' ? AMQP_VARIABLES : REDIS_VARIABLES
    problems.push(`ONEDYNO_BROKER=${asked}, but none of ${variables.join(', ')} is set`)
  }
  return amqp ?? redis ?? { kind: 'postgres', why: 'no URL of RabbitMQ or Redis is set' }
}

function readAmqp(read: Reader, problems: string[]): BrokerChoice | undefined {
  const url = (name: OptionName) => checkedUrl(name, read.url(name, ['amqp:', 'amqps:']), amqpUrls, problems)
  const variable = AMQP_VARIABLES.find((name) => read.text(name) !== undefined)
  const both = variable === undefined ? undefined : url(variable)
  const publishUrl = url('RABBITMQ_BIGWIG_TX_URL') ?? both
  const consumeUrl = url('RABBITMQ_BIGWIG_RX_URL') ?? both
  if (publishUrl === undefined && consumeUrl === undefined) return undefined
  const why = `${variable ?? 'RABBITMQ_BIGWIG_TX_URL'} is set`
  return { kind: 'amqp', why, publishUrl: publishUrl ?? consumeUrl!, consumeUrl: consumeUrl ?? publishUrl! }
}

function readRedis(read: Reader, problems: string[]): BrokerChoice | undefined {
  const variable = REDIS_VARIABLES.find((name) => read.text(name) !== undefined)
  if (variable === undefined) return undefined
  const given = read.url(variable, REDIS_PROTOCOLS)
  const named = given === undefined ? undefined : withMasterName(given, read.text('REDIS_MASTER_NAME'))
  const url = checkedUrl(variable, named, redisAddress, problems)
  return url === undefined ? undefined : { kind: 'redis', why: `${variable} is set`, url }
}

/** Returns the URL if `parse` accepts it. Otherwise adds the problem to the list. */
function checkedUrl(
  name: OptionName,
  url: string | undefined,
  parse: (url: string) => object,
  problems: string[],
): string | undefined {
  const parsed: object | Unusable = url === undefined ? {} : parse(url)
  if (!('problem' in parsed)) return url
  problems.push(`${name}=${maskUrl(url ?? '')} ${parsed.problem}`)
  return undefined
}

export function readDatabaseUrl(read: Reader, problems: string[]): string | undefined {
  const url = read.url('DATABASE_URL', ['postgres:', 'postgresql:'])
  return checkedUrl('DATABASE_URL', url, postgresAddress, problems)
}

export function readResultMirror(read: Reader, broker: BrokerChoice, problems: string[]): ResultMirror {
  const raw = read.text('RESULT_MIRROR') ?? 'off'
  if (raw === 'off') return raw
  if (raw === 'redis') {
    if (broker.kind !== 'redis')
      problems.push(`RESULT_MIRROR=redis is the Redis of the broker, but the broker is ${broker.kind}: give a redis:// URL`)
    return raw
  }
  if (!isUrl(raw, REDIS_PROTOCOLS)) {
    const shown = /^\w+$/.test(raw) ? raw : maskUrl(raw)
    problems.push(`RESULT_MIRROR=${shown} is not off, redis or a URL such as redis://user:password@host/0`)
    return 'off'
  }
  const url = checkedUrl('RESULT_MIRROR', withMasterName(raw, read.text('REDIS_MASTER_NAME')), redisAddress, problems)
  return url === undefined ? 'off' : { url }
}

/**
 * Returns the prefix of result keys. Celery's result backend adds `_` to a prefix that does not end in one of `:_-.` (Celery
 * 5.3, backends/base.py).
 */
export const resultKeyPrefix = (prefix: string): string => (prefix === '' || /[:_.-]$/.test(prefix) ? prefix : `${prefix}_`)

export function readSchema(read: Reader, problems: string[]): string {
  const name = read.text('DATABASE_SCHEMA') ?? ''
  if (!/^[a-z_][a-z0-9_]{0,40}$/.test(name))
    problems.push(`DATABASE_SCHEMA=${JSON.stringify(name)} is not 1 to 41 of a-z, 0-9 and _, not beginning with a digit`)
  return name
}

export function readTimezone(read: Reader, problems: string[]): string {
  const name = read.text('BEAT_TIMEZONE') ?? ''
  try {
    if (!/^[A-Za-z]/.test(name)) throw new RangeError(name)
    new Intl.DateTimeFormat('en', { timeZone: name })
  } catch {
    problems.push(`BEAT_TIMEZONE=${JSON.stringify(name)} is not an IANA time zone such as Europe/Berlin`)
  }
  return name
}

export function readKeepAwake(read: Reader, problems: string[]): KeepAwake {
  const raw = read.text('KEEP_AWAKE') ?? 'auto'
  if (raw === 'auto' || raw === 'off') return raw
  const minutes = Number(raw)
  if (!Number.isInteger(minutes) || minutes < 1 || minutes > 1440)
    problems.push(`KEEP_AWAKE=${JSON.stringify(raw)} is not auto, off or whole minutes of 1 to 1440`)
  return { minutes }
}

export function readFetchAllow(read: Reader, problems: string[]): string[] {
  const pairs = read.list('FETCH_ALLOW')
  for (const pair of pairs)
    if (!/^(\[[0-9a-fA-F:.]+\]|[^:\s/]+):\d{1,5}$/.test(pair))
      problems.push(`FETCH_ALLOW: ${JSON.stringify(pair)} is not host:port`)
  return pairs
}

/** Returns PUBLIC_URL if the operator set it, else the variable in which a platform gives the application's own address. */
export function readPublicUrl(env: Environment, read: Reader): string | undefined {
  const explicit = read.url('PUBLIC_URL', ['http:', 'https:'])
  const found =
    explicit ?? env.RENDER_EXTERNAL_URL ?? hostUrl(env.HEROKU_APP_DEFAULT_DOMAIN_NAME) ?? hostUrl(env.KOYEB_PUBLIC_DOMAIN)
  return found !== undefined && URL.canParse(found) ? new URL(found).origin : undefined
}

const hostUrl = (host: string | undefined) => (host === undefined || host === '' ? undefined : `https://${host}`)

/** Detects a platform by a variable that it sets in every process. An empty value counts as not set. */
export function detectPlatform(env: Environment): Platform {
  if (env.DYNO) return 'heroku'
  if (env.RENDER) return 'render'
  if (env.KOYEB_APP_NAME || env.KOYEB_PUBLIC_DOMAIN) return 'koyeb'
  if (env.FLY_APP_NAME) return 'fly'
  if (env.RAILWAY_ENVIRONMENT_NAME || env.RAILWAY_ENVIRONMENT) return 'railway'
  if (env.K_SERVICE) return 'cloud-run'
  return env.KUBERNETES_SERVICE_HOST ? 'kubernetes' : 'none'
}
