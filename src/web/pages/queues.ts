import type { FastifyInstance } from 'fastify'
import { withTimeout } from '../../concurrency/with-timeout.ts'
import { AppError } from '../../errors.ts'
import { type QueueView, queuesPage } from '../views/queues-page.ts'
import { type AskedDepth, sendPage, type WebContext } from '../web-context.ts'

/** Maximum number of queues on the page, because RabbitMQ and Redis need one request for each queue. */
const MAX_ASKED = 100
const MAX_WAIT_MS = 1000

/** Registers `/queues`: depth, state and limit of each queue, and forms to pause, resume and limit it for every worker. */
export function registerQueues(server: FastifyInstance, web: WebContext): void {
  const { queues, config, log } = web

  const look = async (): Promise<QueueView[]> => {
    const known = (await queues.listQueues(config.queues)).slice(0, MAX_ASKED)
    const depths = new Map((await inTime(queues.depths(known.map(({ name }) => name)))).map((depth) => [depth.queue, depth]))
    return known.map((setting) => ({
      ...setting,
      ready: depths.get(setting.name)?.ready,
      running: depths.get(setting.name)?.running,
    }))
  }

  server.get('/queues', async (request, reply) => sendPage(web, request, reply, queuesPage(await look())))

  for (const action of ['pause', 'resume'] as const) {
    server.post<{ Params: { name: string } }>(`/queues/:name/${action}`, async (request, reply) => {
      const { name } = request.params
      await queues[action](name)
      log.info({ queue: name }, `queue ${action}d`)
      return reply.redirect('/queues', 303)
    })
  }

  server.post<{ Params: { name: string }; Body: URLSearchParams | undefined }>('/queues/:name/limit', async (request, reply) => {
    const { name } = request.params
    const concurrency = limitOf(request.body?.get('concurrency') ?? '')
    await queues.limit(name, concurrency)
    log.info({ queue: name, concurrency }, 'queue limited')
    return reply.redirect('/queues', 303)
  })
}

/** Returns no depths if the broker does not answer in time. The page can still pause its queues. */
const inTime = (asked: Promise<readonly AskedDepth[]>): Promise<readonly AskedDepth[]> =>
  withTimeout(asked, MAX_WAIT_MS, () => [])

/** Reads the limit. An empty field means no limit. */
function limitOf(text: string): number | null {
  const trimmed = text.trim()
  if (trimmed === '') return null
  if (!/^\d{1,4}$/.test(trimmed))
    throw new AppError('QUEUE_INVALID', `${JSON.stringify(trimmed.slice(0, 20))} is not a whole number of 1 to 1000`)
  return Number(trimmed)
}
