import type { FastifyReply, FastifyRequest } from 'fastify'
import type { Failure } from './failure.ts'
import { messagePage } from './views/message-page.ts'
import { sendPage, type WebContext, wantsJson } from './web-context.ts'

/** Sends a failure as a page, or as JSON if the client wants JSON. */
export function sendFailure(web: WebContext, request: FastifyRequest, reply: FastifyReply, failure: Failure): FastifyReply {
  const { status, code, title, message, hint } = failure
  reply.code(status)
  if (wantsJson(request))
    return reply
      .type('application/json; charset=utf-8')
      .send(JSON.stringify({ error: { code, message, hint, request_id: request.id } }))
  return sendPage(web, request, reply, messagePage({ title, message, hint, ...(status >= 500 && { requestId: request.id }) }))
}
