import type { FastifyInstance, FastifyReply } from 'fastify'
import { deadLettersPage } from '../views/dead-letters-page.ts'
import { sendPage, type WebContext } from '../web-context.ts'

const PAGE_SIZE = 50

/** Registers `/dead-letters`, which lists dead letters and requeues or deletes them. */
export function registerDeadLetters(server: FastifyInstance, web: WebContext): void {
  const { deadLetters, log } = web

  server.get<{ Querystring: { before?: unknown; requeued?: unknown; dropped?: unknown } }>(
    '/dead-letters',
    async (request, reply) => {
      const { before, requeued, dropped } = request.query
      const found = await deadLetters.list(PAGE_SIZE + 1, numberOf(before))
      const shown = found.slice(0, PAGE_SIZE)
      const next = found.length > PAGE_SIZE ? shown.at(-1)?.id : undefined
      const done = { requeued: numberOf(requeued), dropped: numberOf(dropped) }
      return sendPage(web, request, reply, deadLettersPage({ deadLetters: shown, next, done, now: web.now() }))
    },
  )

  const act = async (action: 'requeue' | 'drop', which: readonly string[] | 'all', reply: FastifyReply) => {
    const count = action === 'requeue' ? (await deadLetters.requeue(which)).length : await deadLetters.drop(which)
    log.info({ messages: which, count }, action === 'requeue' ? 'dead letters requeued' : 'dead letters deleted')
    return reply.redirect(`/dead-letters?${action === 'requeue' ? 'requeued' : 'dropped'}=${count}`, 303)
  }
  for (const action of ['requeue', 'drop'] as const) {
    server.post(`/dead-letters/${action}`, (_request, reply) => act(action, 'all', reply))
    server.post<{ Params: { id: string } }>(`/dead-letters/:id/${action}`, (request, reply) =>
      act(
        action,
        [numberOf(request.params.id)].filter((id) => id !== undefined),
        reply,
      ),
    )
  }
}

/** Returns the row id as a text; undefined if the text is not a row id. */
const numberOf = (text: unknown): string | undefined => (typeof text === 'string' && /^\d{1,18}$/.test(text) ? text : undefined)
