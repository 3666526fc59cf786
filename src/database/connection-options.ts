import type { Client, ClientConfig } from 'pg'
import type { Config } from '../config.ts'
import { requireDatabaseUrl } from '../config.ts'
import { AppError } from '../errors.ts'
import { maskUrl } from '../log-text.ts'
import { postgresAddress } from '../server-url.ts'
import { clientOf } from './several-hosts.ts'

type Tls = 'off' | 'no-verify' | 'verify-full'

/** How TLS is used, and the reason, which is logged once. */
interface TlsDecision {
  readonly tls: Tls
  readonly reason: string
}

/**
 * Returns the options for pg. This is the only place that decides about TLS. pg 8 ignores an `ssl` object if the URL has
 * `sslmode`, and reads `sslmode=require` as full verification, which pg 9 will change (pg-connection-string, README, "sslmode").
 * So `sslmode` is removed from the URL.
 */
export function connectionOptions(
  config: Config,
  name: string,
): ClientConfig & { decision: TlsDecision; SessionClient: typeof Client } {
  const url = requireDatabaseUrl(config)
  const address = postgresAddress(url)
  if ('problem' in address) throw new AppError('CONFIG_INVALID', `DATABASE_URL=${maskUrl(url)} ${address.problem}`)
  const decision = decideTls(url, config)
  return {
    SessionClient: clientOf(address.hosts),
    connectionString: withoutSslParameters(address.url),
    ssl: decision.tls === 'off' ? false : { rejectUnauthorized: decision.tls === 'verify-full' },
    application_name: `onedyno ${name}`,
    connectionTimeoutMillis: 10_000,
    keepAlive: true,
    keepAliveInitialDelayMillis: 10_000,
    decision,
  }
}

/** Decides about TLS: DATABASE_SSL comes first, then `sslmode` with libpq's meaning, then the host. Pure. */
export function decideTls(url: string, config: Pick<Config, 'databaseSsl' | 'platform'>): TlsDecision {
  if (config.databaseSsl !== 'auto') return { tls: config.databaseSsl, reason: `DATABASE_SSL=${config.databaseSsl}` }
  const sslmode = parameter(url, 'sslmode')
  if (sslmode !== undefined) return { tls: tlsOfSslmode(sslmode), reason: `sslmode=${sslmode}` }
  const hosts = parameter(url, 'host')?.split(',') ?? hostsOf(url)
  const host = hosts.find((each) => !isNearby(each)) ?? hosts[0] ?? ''
  if (isNearby(host)) return { tls: 'off', reason: `${host === '' ? 'local socket' : host} is this machine or a private name` }
  if (config.platform === 'heroku')
    return { tls: 'no-verify', reason: 'Heroku Postgres encrypts with certificates that no authority signed' }
  return { tls: 'verify-full', reason: `${host} is reached over a network` }
}

/**
 * Returns the use of TLS for a value of `sslmode`. libpq's `require` encrypts without verification. In libpq `prefer` and
 * `allow` may connect unencrypted; onedyno encrypts without verification instead.
 */
function tlsOfSslmode(sslmode: string): Tls {
  if (sslmode === 'disable') return 'off'
  return sslmode === 'verify-full' || sslmode === 'verify-ca' ? 'verify-full' : 'no-verify'
}

/**
 * Returns true for a host on this machine or in a private network, such as a name without a dot (Docker Compose, a platform's own
 * network). Addresses are checked by range.
 */
function isNearby(host: string): boolean {
  if (host === '' || host.startsWith('/') || host === '::1' || !/[.:]/.test(host)) return true
  return /^(127\.|10\.|192\.168\.|172\.(1[6-9]|2\d|3[01])\.|fd)/i.test(host) || /\.(internal|local|localhost)$/i.test(host)
}

/** Does not use WHATWG URL, because it rejects `postgresql://user@/db?host=/run`, which has user information but no host. */
function hostsOf(url: string): string[] {
  const authority = /^[a-z]+:\/\/([^/?#]*)/i.exec(url)?.[1] ?? ''
  const hosts = authority.slice(authority.lastIndexOf('@') + 1).split(',')
  return hosts.map((host) =>
    host.startsWith('[') ? host.slice(1, host.indexOf(']')) : decodeURIComponent(host.replace(/:\d*$/, '')),
  )
}

function parameter(url: string, name: string): string | undefined {
  const at = url.indexOf('?')
  return at === -1 ? undefined : (new URLSearchParams(url.slice(at + 1)).get(name) ?? undefined)
}

function withoutSslParameters(url: string): string {
  const at = url.indexOf('?')
  if (at === -1) return url
  const parameters = new URLSearchParams(url.slice(at + 1))
  for (const name of ['sslmode', 'ssl', 'uselibpqcompat']) parameters.delete(name)
  const rest = parameters.toString()
  return rest === '' ? url.slice(0, at) : `${url.slice(0, at)}?${rest}`
}
