import type { Clock } from '../../clock.ts'
import type { Config } from '../../config.ts'
import { type AttemptLimit, createAttemptLimit } from './attempt-limit.ts'
import { createHostCheck } from './host-check.ts'
import { createOriginCheck } from './origin-check.ts'
import { createPasswordCheck } from './password.ts'
import { forwardedProto, isLoopback, type RequestFacts } from './request-facts.ts'
import { createSessions, type Sessions } from './session.ts'

/** Who may use the console: `closed`: nobody; `password`: clients with the password; `local`: clients on this machine. */
export type Access = 'closed' | 'password' | 'local'

/** Kinds of routes: `public` is not checked; `login` needs no session; `console` needs a session. */
export type RouteKind = 'public' | 'login' | 'console'

export type GuardDecision =
  | { readonly kind: 'pass'; readonly signedIn: boolean }
  | { readonly kind: 'to-https' }
  | { readonly kind: 'wrong-host' }
  | { readonly kind: 'closed' }
  | { readonly kind: 'not-local' }
  | { readonly kind: 'cross-site' }
  | { readonly kind: 'sign-in'; readonly wrongBearer: boolean }
  | { readonly kind: 'too-many'; readonly retryAfterSeconds: number }

export interface Guard {
  readonly access: Access
  /**
   * HOT: runs for each request. Returns whether the request is allowed. `address` is the client's address, for the limit on
   * password attempts.
   */
  judge(request: RequestFacts & { readonly address: string }, route: RouteKind): GuardDecision
  /** Checks a password from the login page. */
  tryPassword(password: string, address: string): { readonly ok: boolean; readonly retryAfterSeconds: number }
  readonly sessions: Sessions | undefined
}

export const accessOf = (config: Pick<Config, 'consolePassword' | 'production'>): Access =>
  config.consolePassword !== undefined ? 'password' : config.production ? 'closed' : 'local'

/** Creates the guard with all access rules, in this order: first the rules that cost least and whose answer reveals least. */
export function createGuard(config: Config, clock: Clock): Guard {
  const access = accessOf(config)
  const isOurHost = createHostCheck(config)
  const isSameOrigin = createOriginCheck(config)
  const limit = createAttemptLimit(clock)
  const { consolePassword } = config
  const sessions = consolePassword === undefined ? undefined : createSessions(consolePassword, clock)
  const isPassword = consolePassword === undefined ? () => false : createPasswordCheck(consolePassword)
  const needsHttps = config.production && (config.publicUrl?.startsWith('https:') ?? config.platform !== 'none')

  const signIn = (request: RequestFacts & { address: string }): GuardDecision => {
    if (sessions?.isValid(request.headers) === true) return { kind: 'pass', signedIn: true }
    const bearer = /^Bearer +(.+)$/i.exec(request.headers.authorization ?? '')?.[1]
    if (bearer === undefined) return { kind: 'sign-in', wrongBearer: false }
    const { ok, retryAfterSeconds } = tryPassword(limit, isPassword, bearer, request.address)
    if (ok) return { kind: 'pass', signedIn: true }
    return retryAfterSeconds > 0 ? { kind: 'too-many', retryAfterSeconds } : { kind: 'sign-in', wrongBearer: true }
  }

  return {
    access,
    sessions,
    judge(request, route) {
      if (route === 'public') return { kind: 'pass', signedIn: false }
      if (!isOurHost(request.headers.host)) return { kind: 'wrong-host' }
      if (access === 'closed') return { kind: 'closed' }
      if (access === 'local' && !isThisMachine(request)) return { kind: 'not-local' }
      if (!isSameOrigin(request)) return { kind: 'cross-site' }
      if (needsHttps && forwardedProto(request.headers) === 'http') return { kind: 'to-https' }
      if (access === 'local') return { kind: 'pass', signedIn: true }
      if (route === 'login') return { kind: 'pass', signedIn: sessions?.isValid(request.headers) ?? false }
      return signIn(request)
    },
    tryPassword: (password, address) => tryPassword(limit, isPassword, password, address),
  }
}

/**
 * Returns true if the client runs on this machine. A proxy on this machine that forwards requests of other machines names them
 * in X-Forwarded-For or Forwarded.
 */
function isThisMachine({ remoteAddress, headers }: RequestFacts): boolean {
  const forwardedFor = String(headers['x-forwarded-for'] ?? '')
  return (
    [remoteAddress, ...forwardedFor.split(',')].every((address) => address.trim() === '' || isLoopback(address.trim())) &&
    headers.forwarded === undefined
  )
}

function tryPassword(
  limit: AttemptLimit,
  isPassword: (given: string) => boolean,
  given: string,
  address: string,
): { ok: boolean; retryAfterSeconds: number } {
  const retryAfterSeconds = limit.waitSeconds(address)
  if (retryAfterSeconds > 0) return { ok: false, retryAfterSeconds }
  if (isPassword(given)) return { ok: true, retryAfterSeconds: 0 }
  limit.failed(address)
  return { ok: false, retryAfterSeconds: 0 }
}
