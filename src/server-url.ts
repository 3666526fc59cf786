// Parses addresses of servers as people write them. `new URL` cannot parse them, because a text may name several hosts.

/** A Redis server, or Sentinels that know the primary. */
export type RedisAddress =
  | { readonly kind: 'server'; readonly url: string; readonly database: number }
  | {
      readonly kind: 'sentinels'
      readonly sentinels: readonly { readonly host: string; readonly port: number }[]
      /** The name of the primary in the configuration of the Sentinels. */
      readonly master: string
      readonly username: string | undefined
      readonly password: string | undefined
      readonly sentinelUsername: string | undefined
      readonly sentinelPassword: string | undefined
      readonly database: number
    }

/** A text that cannot be used. It holds the problem as the end of a sentence that begins with the text. */
export interface Unusable {
  readonly problem: string
}

/** Matches scheme, user and password, hosts, and the rest of one URL. */
const PARTS = /^([a-z][a-z0-9+.-]*:\/\/)((?:[^/?#]*@)?)([^/?#]*)(.*)$/is

const SENTINEL_PORT = 26_379

/**
 * Returns the URLs of RabbitMQ servers to try in turn. kombu separates URLs by `;`. A comma is also accepted, between URLs and
 * between the hosts of one URL.
 */
export function amqpUrls(text: string): readonly [string, ...string[]] | Unusable {
  const urls = splitUrls(text, 'amqps?').flatMap(eachHost)
  const [first, ...others] = urls
  const isUrl = (url: string) => URL.canParse(url) && !/[;,]/.test(PARTS.exec(url)?.[3] ?? '')
  if (first === undefined || !urls.every(isUrl))
    return { problem: 'is not a URL such as amqps://user:password@host/vhost, nor several of them separated by ;' }
  return [first, ...others]
}

/** Parses the URL of a Redis server, or of Sentinels in kombu's form: `sentinel://a:26379;sentinel://b:26379/0`. */
export function redisAddress(text: string): RedisAddress | Unusable {
  return /^sentinel:/i.test(text) ? sentinelAddress(text) : serverAddress(text)
}

function serverAddress(url: string): RedisAddress | Unusable {
  const hosts = PARTS.exec(url)?.[3] ?? ''
  if (/[;,]/.test(hosts) || splitUrls(url, 'rediss?').length > 1)
    return {
      problem:
        'names several hosts, and Redis has no list of hosts: give one, or its Sentinels as sentinel://a:26379;sentinel://b:26379/0',
    }
  if (!URL.canParse(url)) return { problem: 'is not a URL such as redis://user:password@host:6379/0' }
  const database = databaseOf(url)
  return typeof database === 'number' ? { kind: 'server', url, database } : database
}

function sentinelAddress(text: string): RedisAddress | Unusable {
  const urls = splitUrls(text, 'sentinel').flatMap(eachHost)
  const parsed = urls.map((url) => (URL.canParse(url) ? new URL(url) : undefined))
  if (urls.length === 0 || parsed.some((url) => url === undefined || url.hostname === '' || /[;,]/.test(url.hostname)))
    return { problem: 'is not a list such as sentinel://a:26379;sentinel://b:26379/0' }
  const all = parsed as URL[]
  const parameter = (name: string) => all.map((url) => url.searchParams.get(name)).find((value) => value) ?? undefined
  const master = parameter('master_name')
  if (master === undefined)
    return { problem: 'does not say which primary the Sentinels watch: set REDIS_MASTER_NAME, or append ?master_name=mymaster' }
  const database = databaseOf(urls.find((url) => pathOf(url) !== '') ?? '')
  if (typeof database !== 'number') return database
  const named = all.find(({ password, username }) => password !== '' || username !== '')
  return {
    kind: 'sentinels',
    sentinels: all.map(({ hostname, port }) => ({
      host: hostname.replace(/^\[|\]$/g, ''),
      port: port === '' ? SENTINEL_PORT : Number(port),
    })),
    master,
    username: decoded(named?.username),
    password: decoded(named?.password),
    sentinelUsername: parameter('sentinel_username'),
    sentinelPassword: parameter('sentinel_password'),
    database,
  }
}

/** Adds the name of the primary to a text that names Sentinels and lacks this name. Returns any other text unchanged. */
export function withMasterName(text: string, master: string | undefined): string {
  if (master === undefined || !/^sentinel:/i.test(text) || /[?&]master_name=/.test(text)) return text
  return `${text.replace(/[;,\s]+$/, '')}${text.includes('?') ? '&' : '?'}master_name=${encodeURIComponent(master)}`
}

export interface PostgresAddress {
  /** The URL with only its first host. */
  readonly url: string
  /** Empty if the URL names at most one host. */
  readonly hosts: readonly { readonly host: string; readonly port: number }[]
}

/** libpq's other values ask for a server that refuses writes, which onedyno cannot use. */
const SESSION_ATTRIBUTES = ['any', 'read-write', 'primary']

/** Parses a PostgreSQL URL in libpq's form, which allows several hosts: `postgresql://user:password@a:5432,b/database`. */
export function postgresAddress(text: string): PostgresAddress | Unusable {
  const [, scheme = '', user = '', list = '', rest = ''] = PARTS.exec(text) ?? []
  const parameter = (name: string) => new RegExp(`[?&]${name}=([^&]*)`).exec(rest)?.[1]
  const attributes = parameter('target_session_attrs')
  if (attributes !== undefined && !SESSION_ATTRIBUTES.includes(attributes))
    return {
      problem: `asks for target_session_attrs=${attributes}, but onedyno writes: ${SESSION_ATTRIBUTES.join(', ')} are accepted`,
    }
  if (/,|%2c/i.test(parameter('host') ?? ''))
    return { problem: 'names several hosts as a parameter: write postgresql://user:password@a:5432,b:5432/database' }
  const urls = list.split(',').map((host) => `${scheme}${user}${host}${rest}`)
  const isUrl = (url: string) => URL.canParse(url) && !url.includes(';')
  if (list !== '' && !urls.every(isUrl)) return { problem: 'is not a URL such as postgresql://user:password@host:5432/database' }
  if (urls.length < 2) return { url: text, hosts: [] }
  const hosts = urls
    .map((url) => new URL(url))
    .map(({ hostname, port }) => ({
      host: decodeURIComponent(hostname.replace(/^\[|\]$/g, '')),
      port: Number(port || 5432),
    }))
  if (hosts.some(({ host }) => host === '')) return { problem: 'has an empty name in its list of hosts' }
  return { url: urls[0] ?? text, hosts }
}

/** Returns the first URL of a list, for output that shows only one. */
export const firstUrl = (text: string): string => splitUrls(text, '[a-z]+').flatMap(eachHost)[0] ?? text

/** Splits before each further scheme, so that a separator within a password or a virtual host does not split the URL. */
const splitUrls = (text: string, scheme: string): string[] =>
  text
    .split(new RegExp(`[;,](?=\\s*(?:${scheme}:\\/\\/|$))`, 'i'))
    .map((url) => url.trim())
    .filter((url) => url !== '')

/** Splits a URL into one URL per host: `amqp://u@a:1,b:2/v` → `amqp://u@a:1/v`, `amqp://u@b:2/v`. */
function eachHost(url: string): string[] {
  const [, scheme = '', user = '', hosts = '', rest = ''] = PARTS.exec(url) ?? []
  return hosts.includes(',') ? hosts.split(',').map((host) => `${scheme}${user}${host.trim()}${rest}`) : [url]
}

const pathOf = (url: string): string => /^\/([^?#]*)/.exec(PARTS.exec(url)?.[4] ?? '')?.[1] ?? ''

/** `redis://host/3` → 3. If there is no path, reads the parameter `db`, as ioredis does. */
function databaseOf(url: string): number | Unusable {
  const name = pathOf(url) || /[?&]db=([^&#]*)/.exec(url)?.[1] || '0'
  return /^\d{1,9}$/.test(name)
    ? Number(name)
    : { problem: `names the database ${JSON.stringify(name)}, which is no number: Redis numbers its databases from 0` }
}

const decoded = (text: string | undefined): string | undefined => (text ? decodeURIComponent(text) : undefined)
