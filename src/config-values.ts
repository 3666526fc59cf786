import { maskUrl } from './log-text.ts'
import { OPTIONS, type Option, type OptionName } from './options.ts'

export type Environment = Readonly<Record<string, string | undefined>>

/** The broker that this process uses, and why. */
export type BrokerChoice =
  | { readonly kind: 'postgres'; readonly why: string }
  | { readonly kind: 'redis'; readonly why: string; readonly url: string }
  | { readonly kind: 'amqp'; readonly why: string; readonly publishUrl: string; readonly consumeUrl: string }

/** The platform that this process runs on, as far as its variables show. */
export type Platform = 'heroku' | 'render' | 'koyeb' | 'fly' | 'railway' | 'cloud-run' | 'kubernetes' | 'none'

/** `redis`: the Redis server that is the broker. */
export type ResultMirror = 'off' | 'redis' | { readonly url: string }

export type KeepAwake = 'auto' | 'off' | { readonly minutes: number }

/** Reads variables as src/options.ts declares them. Adds each invalid value to `problems`, under the variable's name or `givenAs`. */
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

/** Checks only the scheme: the WHATWG parser refuses a URL without a host, such as `postgresql://user@/db?host=/socket`, for some schemes. */
const isUrl = (raw: string, protocols: readonly string[]) => protocols.some((protocol) => raw.startsWith(`${protocol}//`))

const AMQP_VARIABLES = ['CLOUDAMQP_URL', 'RABBITMQ_URL', 'AMQP_URL'] as const
const REDIS_VARIABLES = ['REDISCLOUD_URL', 'REDIS_URL', 'REDISTOGO_URL'] as const

/** Chooses RabbitMQ, else Redis, else PostgreSQL, by the URLs that are set, unless ONEDYNO_BROKER names one (docs/config.md). */
export function readBroker(read: Reader, problems: string[]): BrokerChoice {
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

export function readResultMirror(read: Reader, broker: BrokerChoice, problems: string[]): ResultMirror {
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

/** PUBLIC_URL if the operator set it, else the variable in which a platform gives the application's own address. */
export function readPublicUrl(env: Environment, read: Reader): string | undefined {
  const explicit = read.url('PUBLIC_URL', ['http:', 'https:'])
  const found =
    explicit ?? env.RENDER_EXTERNAL_URL ?? hostUrl(env.HEROKU_APP_DEFAULT_DOMAIN_NAME) ?? hostUrl(env.KOYEB_PUBLIC_DOMAIN)
  return found !== undefined && URL.canParse(found) ? new URL(found).origin : undefined
}

const hostUrl = (host: string | undefined) => (host === undefined || host === '' ? undefined : `https://${host}`)

/** Recognises a platform by a variable that it sets in every process. An empty value counts as unset. */
export function detectPlatform(env: Environment): Platform {
  if (env.DYNO) return 'heroku'
  if (env.RENDER) return 'render'
  if (env.KOYEB_APP_NAME || env.KOYEB_PUBLIC_DOMAIN) return 'koyeb'
  if (env.FLY_APP_NAME) return 'fly'
  if (env.RAILWAY_ENVIRONMENT_NAME || env.RAILWAY_ENVIRONMENT) return 'railway'
  if (env.K_SERVICE) return 'cloud-run'
  return env.KUBERNETES_SERVICE_HOST ? 'kubernetes' : 'none'
}
