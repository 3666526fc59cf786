import type { Config } from '../../config.ts'
import type { RequestFacts } from './request-facts.ts'

const SAFE_METHODS: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS'])

/**
 * Does the request come from a page of this console, or from no page at all? Browsers say so themselves: first `Sec-Fetch-Site`, then, where it is
 * missing, `Origin`, compared with the public URL and the raw `Host`. What sends neither is no browser, and has no cookie that a page could abuse.
 * The rule of Go 1.25's CrossOriginProtection and of Sidekiq 8.1; it needs no token in forms and no session (reference/web-platform.md §2.2).
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
