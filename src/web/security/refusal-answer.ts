import type { FastifyReply, FastifyRequest } from 'fastify'
import { type Failure, titleOf } from '../failure.ts'
import { sendFailure } from '../send-failure.ts'
import type { WebContext } from '../web-context.ts'
import type { GuardDecision } from './guard.ts'

/** Answers a refused request with the reason and the next step for the owner of the console. */
export function answerRefusal(
  web: WebContext,
  decision: Exclude<GuardDecision, { kind: 'pass' }>,
  request: FastifyRequest,
  reply: FastifyReply,
): FastifyReply {
  const refuse = (status: number, code: string, message: string, hint: string, title = titleOf(status)): FastifyReply => {
    const failure: Failure = { status, code, title, message, hint }
    return sendFailure(web, request, reply, failure)
  }
  switch (decision.kind) {
    case 'to-https':
      return reply.redirect(`https://${request.raw.headers.host}${request.raw.url}`, 308)
    case 'wrong-host':
      return refuse(
        421,
        'WRONG_HOST',
        'This console does not answer to the host name that was asked for.',
        'Set PUBLIC_URL to the address that you use, such as https://example.org.',
      )
    case 'closed':
      return refuse(
        503,
        'CONSOLE_CLOSED',
        'No password is set, and this is a production system.',
        'Set CONSOLE_PASSWORD and start again; on Heroku: heroku config:set CONSOLE_PASSWORD=…',
        'The console is closed',
      )
    case 'not-local':
      return refuse(
        403,
        'NOT_LOCAL',
        'Without a password the console is open to its own machine only.',
        'Set CONSOLE_PASSWORD and start again.',
      )
    case 'cross-site':
      return refuse(
        403,
        'CROSS_SITE',
        'The form was sent from a page of another site.',
        'Open the console itself and send it from there.',
      )
    case 'too-many':
      reply.header('retry-after', decision.retryAfterSeconds)
      return refuse(
        429,
        'TOO_MANY_ATTEMPTS',
        'There were too many wrong passwords.',
        `Try again in ${decision.retryAfterSeconds} seconds.`,
      )
    case 'sign-in':
      return askToSignIn(request, reply, refuse)
    default:
      return decision satisfies never
  }
}

type Refuse = (status: number, code: string, message: string, hint: string) => FastifyReply

/** Redirects a browser to the login page and back. Other clients get a 401. */
function askToSignIn(request: FastifyRequest, reply: FastifyReply, refuse: Refuse): FastifyReply {
  if ((request.headers.accept ?? '').includes('text/html')) {
    const next = request.method === 'GET' ? request.url : '/'
    return reply.redirect(next === '/' ? '/login' : `/login?next=${encodeURIComponent(next)}`, 303)
  }
  reply.header('www-authenticate', 'Bearer realm="onedyno"')
  return refuse(
    401,
    'NOT_SIGNED_IN',
    'This needs the console’s password.',
    'Send Authorization: Bearer <CONSOLE_PASSWORD>, or sign in at /login.',
  )
}
