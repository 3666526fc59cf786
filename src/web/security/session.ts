import { createHmac, timingSafeEqual } from 'node:crypto'
import type { IncomingHttpHeaders } from 'node:http'
import type { Clock } from '../../clock.ts'
import { isHttps } from './request-facts.ts'

const LIFETIME_SECONDS = 12 * 3600

/** Sessions in a signed cookie. The server stores nothing, so a session survives the daily restart of a dyno. */
export interface Sessions {
  /** Returns the `Set-Cookie` that begins a session. */
  begin(headers: IncomingHttpHeaders): string
  /** Returns the `Set-Cookie` that ends the session. */
  end(headers: IncomingHttpHeaders): string
  isValid(headers: IncomingHttpHeaders): boolean
}

/**
 * Creates sessions. The cookie is `<expiry in seconds>.<HMAC of expiry and host>`, with the password as key. A new password ends
 * all sessions, and a cookie of another host name is invalid. The prefix `__Host-` binds the cookie to https and this host.
 * Browsers refuse the prefix on plain http, so a cookie on plain http has none.
 */
export function createSessions(password: string, clock: Clock): Sessions {
  const key = createHmac('sha256', password).update('onedyno session 1').digest()
  const sign = (expires: string, host: string | undefined) =>
    createHmac('sha256', key).update(`${expires} ${host?.toLowerCase()}`).digest('base64url')
  const nowSeconds = () => Math.floor(clock.now() / 1000)
  return {
    begin(headers) {
      const expires = String(nowSeconds() + LIFETIME_SECONDS)
      return setCookie(headers, `${expires}.${sign(expires, headers.host)}`, LIFETIME_SECONDS)
    },
    end: (headers) => setCookie(headers, '', 0),
    isValid(headers) {
      const [, expires = '', signature = ''] = /^(\d{1,12})\.([\w-]{43})$/.exec(readCookie(headers) ?? '') ?? []
      if (expires === '' || Number(expires) <= nowSeconds()) return false
      return timingSafeEqual(Buffer.from(signature), Buffer.from(sign(expires, headers.host)))
    },
  }
}

const cookieName = (headers: IncomingHttpHeaders) => (isHttps(headers) ? '__Host-session' : 'session')

const setCookie = (headers: IncomingHttpHeaders, value: string, maxAge: number) =>
  `${cookieName(headers)}=${value}; Path=/; Max-Age=${maxAge}; HttpOnly; SameSite=Lax${isHttps(headers) ? '; Secure' : ''}`

function readCookie(headers: IncomingHttpHeaders): string | undefined {
  const prefix = `${cookieName(headers)}=`
  const pair = headers.cookie?.split(';').find((part) => part.trimStart().startsWith(prefix))
  return pair?.trimStart().slice(prefix.length)
}
