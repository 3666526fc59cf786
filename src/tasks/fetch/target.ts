import { isIP } from 'node:net'
import { AppError } from '../../errors.ts'
import { isPublicAddress } from './address.ts'

/** Usual ports of web servers. Any other port is more likely an internal service. */
const PORTS: ReadonlySet<number> = new Set([80, 443, 8080, 8443])
const MAX_LENGTH = 2048

/** Host and port of a URL. The host has neither IPv6 brackets nor a trailing dot. */
export interface Endpoint {
  readonly host: string
  readonly port: number
}

export const endpointOf = (url: { readonly hostname: string; readonly port: string; readonly protocol: string }): Endpoint => ({
  host: url.hostname.replace(/^\[(.*)\]$/, '$1').replace(/\.$/, ''),
  port: url.port === '' ? (url.protocol === 'https:' ? 443 : 80) : Number(url.port),
})

/** Returns a predicate that is true for the pairs of FETCH_ALLOW. */
export function createAllowList(pairs: readonly string[]): (endpoint: Endpoint) => boolean {
  const allowed = new Set(pairs.map((pair) => pair.toLowerCase().replace(/^\[(.*)\](:\d+)$/, '$1$2')))
  return ({ host, port }) => allowed.has(`${host}:${port}`)
}

/**
 * Checks the text of a URL. The WHATWG URL parser converts decimal, hexadecimal, octal, short and full-width addresses to the
 * dotted form, so one check covers all forms. The connector checks the addresses to which a name resolves.
 * @throws AppError URL_REFUSED with the rule that the URL breaks
 */
export function checkTarget(text: string, isAllowed: (endpoint: Endpoint) => boolean, base?: URL): URL {
  const refuse = (reason: string): never => {
    throw new AppError('URL_REFUSED', `${shorten(text)} is not allowed: ${reason}`)
  }
  if (typeof text !== 'string' || text.length > MAX_LENGTH)
    return refuse(`a URL must be a text of at most ${MAX_LENGTH} characters`)
  const url = URL.parse(text, base?.href)
  if (url === null) return refuse('it is not a valid URL')
  if (url.protocol !== 'http:' && url.protocol !== 'https:') return refuse(`the scheme is ${url.protocol}, not http: or https:`)
  if (url.username !== '' || url.password !== '') return refuse('it contains a user name or a password')
  const endpoint = endpointOf(url)
  if (isAllowed(endpoint)) return url
  if (!PORTS.has(endpoint.port)) return refuse(`port ${endpoint.port} is not one of ${[...PORTS].join(', ')}`)
  const reason = refusalOfHost(endpoint.host)
  return reason === undefined ? url : refuse(reason)
}

/** Returns the reason to refuse the host of a URL. Undefined for a public address and for a name, which DNS resolves later. */
export function refusalOfHost(host: string): string | undefined {
  if (isIP(host) !== 0) return isPublicAddress(host) ? undefined : `${host} is not a public address`
  return /(^|\.)(localhost|local|internal)$/.test(host.toLowerCase()) ? `${host} is a name of a private network` : undefined
}

const shorten = (text: unknown) => {
  const shown = JSON.stringify(text) ?? String(text)
  return shown.length > 200 ? `${shown.slice(0, 197)}...` : shown
}
