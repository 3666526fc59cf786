import type { Config } from '../../config.ts'
import type { RequestFacts } from './request-facts.ts'

const SAFE_METHODS: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS'])

/**
 * Checks that a request comes from a page of this console or from no page. Browsers send `Sec-Fetch-Site`; if it is missing,
 * `Origin` is compared with the public URL and the raw `Host`. A client that sends neither header is not a browser, so it has no
 * cookie that a page could abuse. CrossOriginProtection in Go 1.25 (net/http) and Sidekiq 8.1 have the same rule. With it, forms
 * need no token and no session.
 */
export function createOriginCheck(
  config: Pick<Config, 'publicUrl'>,
): (request: Pick<RequestFacts, 'method' | 'headers'>) => boolean {
  return ({ method, headers }) => {
    if (SAFE_METHODS.has(method)) return true
    const site = headers['sec-fetch-site']
    if (site !== undefined) return site === 'same-origin' || site === 'none'
    const { origin, host } = headers
    if (origin === undefined) return true
    if (origin === config.publicUrl) return true
    return URL.canParse(origin) && new URL(origin).host !== '' && new URL(origin).host === host?.toLowerCase()
  }
}
