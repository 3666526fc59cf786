import type { FastifyInstance } from 'fastify'
import { readFormFields } from '../form-fields.ts'
import { loginPage } from '../views/login-page.ts'
import { sendPage, type WebContext } from '../web-context.ts'

/** Registers `/login` and `/logout`. If no password is set there is no login, and `/login` leads to the start page. */
export function registerLogin(server: FastifyInstance, web: WebContext): void {
  const { guard, log } = web
  const { sessions } = guard
  if (sessions === undefined) {
    server.get('/login', (_request, reply) => reply.redirect('/', 303))
    return
  }

  server.get<{ Querystring: { next?: unknown } }>('/login', { config: { kind: 'login' } }, (request, reply) => {
    const next = safePath(request.query.next)
    return request.signedIn ? reply.redirect(next, 303) : sendPage(web, request, reply, loginPage({ next }))
  })

  server.post('/login', { config: { kind: 'login' } }, (request, reply) => {
    const { password, next } = readFormFields(request.body, ['password', 'next'])
    const { ok, retryAfterSeconds } = guard.tryPassword(password, request.ip)
    if (ok) return reply.header('set-cookie', sessions.begin(request.headers)).redirect(safePath(next), 303)
    log.warn({ address: request.ip, limited: retryAfterSeconds > 0 }, 'sign-in refused')
    if (retryAfterSeconds > 0) reply.header('retry-after', retryAfterSeconds)
    const problem =
      retryAfterSeconds > 0 ? `Too many wrong passwords: try again in ${retryAfterSeconds} seconds.` : 'The password is wrong.'
    return sendPage(web, request, reply.code(retryAfterSeconds > 0 ? 429 : 401), loginPage({ next: safePath(next), problem }))
  })

  server.post('/logout', { config: { kind: 'login' } }, (request, reply) =>
    reply.header('set-cookie', sessions.end(request.headers)).redirect('/login', 303),
  )
}

/**
 * Returns the path to open after signing in. It must be a path of this console: two slashes or a backslash lead to another host,
 * and browsers remove blanks.
 */
const safePath = (next: unknown): string =>
  typeof next === 'string' && /^\/(?![/\\])[\x21-\x5b\x5d-\x7e]*$/.test(next) ? next : '/'
