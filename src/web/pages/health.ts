import type { FastifyInstance } from 'fastify'
import { AppError } from '../../errors.ts'
import { translate } from '../failure.ts'
import type { WebContext } from '../web-context.ts'

/** Milliseconds for which an answer is reused: the route is public, and each check costs three queries. */
const READY_FOR_MS = 1000

/** Registers health checks for platforms and monitors, without a password. A negative answer has one error code. */
export function registerHealth(server: FastifyInstance, web: WebContext): void {
  const isReady = createReadiness(web)
  const open = { config: { kind: 'public' } } as const
  server.get('/ping', open, (_request, reply) => reply.type('text/plain').send('pong\n'))
  server.get('/healthz', open, (_request, reply) => reply.type('text/plain').send('ok\n'))
  server.get('/readyz', open, async (_request, reply) => {
    const problem = await isReady()
    return reply
      .code(problem === undefined ? 200 : 503)
      .type('text/plain')
      .send(problem === undefined ? 'ready\n' : `not ready: ${problem}\n`)
  })
}

/**
 * Returns the error code of the first part that is missing, or undefined if every part is ready. Concurrent requests share one
 * check.
 */
function createReadiness({ checkReady, clock, log }: WebContext): () => Promise<string | undefined> {
  let known: { readonly answer: Promise<string | undefined>; readonly at: number } | undefined
  const look = async () => {
    try {
      await checkReady()
      return undefined
    } catch (thrown) {
      const error = translate(thrown)
      log.warn({ err: error }, 'readiness check failed, /readyz answers 503')
      return error instanceof AppError ? error.code : 'INTERNAL_ERROR'
    }
  }
  return () => {
    if (known === undefined || clock.now() - known.at >= READY_FOR_MS) known = { answer: look(), at: clock.now() }
    return known.answer
  }
}
