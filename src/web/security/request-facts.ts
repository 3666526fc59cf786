import type { IncomingHttpHeaders } from 'node:http'
import { BlockList, isIP } from 'node:net'

/** The parts of a request that the guard reads, from the raw headers: `request.host` would follow a client's X-Forwarded-Host. */
export interface RequestFacts {
  readonly method: string
  readonly headers: IncomingHttpHeaders
  /** Address of the socket's peer: the client or a proxy. */
  readonly remoteAddress: string
}

/** Returns the host name without port and brackets in lower case; empty if the header is missing or invalid. */
export function hostName(host: string | undefined): string {
  const match = /^(?:\[([0-9a-f:.]+)\]|([^:/?#@\s]+))(?::\d{1,5})?$/i.exec(host ?? '')
  return (match?.[1] ?? match?.[2] ?? '').toLowerCase()
}

/**
 * Returns true if the client used https. The last value of X-Forwarded-Proto counts, because a router appends to the client's
 * value.
 */
export const isHttps = (headers: IncomingHttpHeaders): boolean => forwardedProto(headers) === 'https'

export function forwardedProto(headers: IncomingHttpHeaders): string | undefined {
  const value = headers['x-forwarded-proto']
  return (Array.isArray(value) ? value.join(',') : value)?.split(',').at(-1)?.trim().toLowerCase()
}

let loopback: BlockList | undefined

/** Returns true for 127.0.0.0/8 and ::1, also written as `::ffff:127.0.0.1`. */
export function isLoopback(address: string): boolean {
  if (loopback === undefined) {
    loopback = new BlockList()
    loopback.addSubnet('127.0.0.0', 8, 'ipv4')
    loopback.addAddress('::1', 'ipv6')
  }
  const family = isIP(address)
  return family !== 0 && loopback.check(address, family === 4 ? 'ipv4' : 'ipv6')
}
