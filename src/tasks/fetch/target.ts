import { isIP } from 'node:net'
import { AppError } from '../../errors.ts'
import { isPublicAddress } from './address.ts'

/** Ports where web servers listen; anything else is more likely to be a service inside (reference/web-platform.md §3.2). */
const PORTS: ReadonlySet<number> = new Set([80, 443, 8080, 8443])
const MAX_LENGTH = 2048

/** Host and port of a URL; a host without the brackets of IPv6 and without the dot at its end. */
export interface Endpoint {
  readonly host: string
  readonly port: number
}

export const endpointOf = (url: { readonly hostname: string; readonly port: string; readonly protocol: string }): Endpoint => ({
  host: url.hostname.replace(/^\[(.*)\]$/, '$1').replace(/\.$/, ''),
  port: url.port === '' ? (url.protocol === 'https:' ? 443 : 80) : Number(url.port),
})

/** FETCH_ALLOW, ready to be asked. */
export function createAllowList(pairs: readonly string[]): (endpoint: Endpoint) => boolean {
  const allowed = new Set(pairs.map((pair) => pair.toLowerCase().replace(/^\[(.*)\](:\d+)$/, '$1$2')))
  return ({ host, port }) => allowed.has(`${host}:${port}`)
}

/**
 * A URL that may be fetched as far as its text tells. WHATWG parsing folds decimal, hexadecimal, octal, short and full-width addresses into
 * the dotted form, so one check sees them all; what a name resolves to is checked where the connection is made.
 * @throws AppError URL_REFUSED saying which rule it breaks
 */
export function checkTarget(text: string, isAllowed: (endpoint: Endpoint) => boolean, base?: URL): URL {
  const refuse = (reason: string): never => {
    throw new AppError('URL_REFUSED', `${shorten(text)} is not allowed: ${reason}`)
  }
  if (typeof text !== 'string' || text.length > MAX_LENGTH) return refuse(`a URL is a text of at most ${MAX_LENGTH} characters`)
  const url = URL.parse(text, base?.href)
  if (url === null) return refuse('it is not a valid URL')
  if (url.protocol !== 'http:' && url.protocol !== 'https:') return refuse(`the scheme is ${url.protocol}, not http: or https:`)
  if (url.username !== '' || url.password !== '') return refuse('it carries a user name or a password')
  const endpoint = endpointOf(url)
  if (isAllowed(endpoint)) return url
  if (!PORTS.has(endpoint.port)) return refuse(`port ${endpoint.port} is not one of ${[...PORTS].join(', ')}`)
  const reason = refusalOfHost(endpoint.host)
  return reason === undefined ? url : refuse(reason)
}

/** Why a host, as written in a URL, is not connected to; undefined for a public address and for a name that DNS has to answer. */
export function refusalOfHost(host: string): string | undefined {
  if (isIP(host) !== 0) return isPublicAddress(host) ? undefined : `${host} is not a public address`
  return /(^|\.)(localhost|local|internal)$/.test(host.toLowerCase()) ? `${host} is a name inside a private network` : undefined
}

const shorten = (text: unknown) => {
  const shown = JSON.stringify(text) ?? String(text)
  return shown.length > 200 ? `${shown.slice(0, 197)}...` : shown
}
