import type { LookupAddress, LookupOptions } from 'node:dns'
import { lookup as resolveName } from 'node:dns'
import { buildConnector } from 'undici'
import { AppError } from '../../errors.ts'
import { isPublicAddress } from './address.ts'
import { type Endpoint, endpointOf, refusalOfHost } from './target.ts'

/** Resolves a name to all its addresses: `lookup` of `node:dns`, or a fake in tests. */
export type Resolve = (
  host: string,
  options: LookupOptions,
  done: (error: NodeJS.ErrnoException | null, addresses: LookupAddress[]) => void,
) => void

const resolveAll: Resolve = (host, options, done) => resolveName(host, { ...options, all: true }, done)

/**
 * Creates a connector that connects only to public addresses. A check in `lookup` alone is not enough, because undici does not
 * call `lookup` if the URL contains an address (nodejs/undici issue 2019). The connection uses the checked address, so a DNS
 * name that changes its answer (DNS rebinding) has no effect. If one of several addresses is private, the name is refused.
 */
export function createGuardedConnector(
  isAllowed: (endpoint: Endpoint) => boolean,
  options: { timeoutMs: number; resolve?: Resolve },
): buildConnector.connector {
  const { timeoutMs, resolve = resolveAll } = options
  const open = buildConnector({ timeout: timeoutMs })
  const guarded = buildConnector({ timeout: timeoutMs, lookup: createGuardedLookup(resolve) } as buildConnector.BuildOptions)
  return (target, callback) => {
    const endpoint = endpointOf(target)
    if (isAllowed(endpoint)) return open(target, callback)
    const reason = refusalOfHost(endpoint.host)
    if (reason !== undefined) return callback(refusal(endpoint, reason), null)
    return guarded(target, (...[error, socket]) => {
      if (error !== null) return callback(error, null)
      const remote = socket.remoteAddress ?? ''
      if (isPublicAddress(remote)) return callback(null, socket)
      socket.destroy()
      return callback(refusal(endpoint, `it connects to ${remote}, which is not a public address`), null)
    })
  }
}

/** Creates a `lookup` for `net.connect`, which may call it with `all`, because it tries several addresses at once. */
function createGuardedLookup(resolve: Resolve) {
  return (
    host: string,
    options: LookupOptions,
    done: (error: Error | null, addresses: LookupAddress[] | string, family?: number) => void,
  ): void => {
    resolve(host, options, (error, addresses) => {
      if (error !== null) return done(error, [])
      const bad = addresses.find(({ address }) => !isPublicAddress(address))
      const [first] = addresses
      if (bad !== undefined)
        return done(
          new AppError('URL_REFUSED', `${host} is not allowed: it resolves to ${bad.address}, which is not a public address`),
          [],
        )
      if (first === undefined) return done(new AppError('URL_REFUSED', `${host} is not allowed: it resolves to nothing`), [])
      return options.all === true ? done(null, addresses) : done(null, first.address, first.family)
    })
  }
}

const refusal = ({ host, port }: Endpoint, reason: string) =>
  new AppError('URL_REFUSED', `${host}:${port} is not allowed: ${reason}`)
