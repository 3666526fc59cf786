import type { FastifyInstance, FastifyRequest } from 'fastify'
import { READY_STATES } from '../../app/outcome.ts'
import { runPath } from '../paths.ts'
import { describeLocated, describeStored, LINES_SHOWN, type RunDescription, runJson } from '../run-description.ts'
import { sendFailure } from '../send-failure.ts'
import { runPage } from '../views/run-page.ts'
import { sendPage, type WebContext, wantsJson } from '../web-context.ts'

/** Heroku's router closes a request without a first byte after 30 s (Heroku Dev Center, "Request Timeout"). */
const MAX_WAIT_SECONDS = 25
/**
 * Maximum number of waiting requests, because each takes a few kilobytes. Any further request is answered at once, and the
 * client asks again.
 */
const MAX_WAITING = 200
/** Log lines shown with `?log=all`; a browser still displays this number well. */
const LINES_AT_MOST = 5000

/**
 * Registers `GET /tasks/:name/:id`: the state of one run. `?wait=SECONDS` delays the answer until the run has ended, for at most
 * this time.
 */
export function registerRun(server: FastifyInstance, web: WebContext): void {
  const { results, reports, app, log } = web
  let waiting = 0

  /**
   * Finds a run. One query finds a run that was sent from the console or has begun. A run that waits in a queue needs a second
   * query.
   */
  const describe = async (id: string): Promise<RunDescription | undefined> => {
    const stored = await results.find(id)
    if (stored !== undefined) return describeStored(stored)
    const located = await results.locate(id)
    if (located !== undefined && !READY_STATES.has(located.state)) return describeLocated(id, located)
    // The run ended between the two queries: its message is gone, and its result is there now.
    const since = await results.find(id)
    return since && describeStored(since)
  }

  const wait = async (run: RunDescription, seconds: number, request: FastifyRequest): Promise<RunDescription> => {
    if (run.ready || seconds === 0 || waiting >= MAX_WAITING) return run
    waiting += 1
    try {
      const stored = await results.wait(
        run.id,
        AbortSignal.any([AbortSignal.timeout(seconds * 1000), web.stopping, request.signal]),
      )
      return stored === undefined
        ? ((await describe(run.id)) ?? run)
        : { ...describeStored(stored), args: run.args, createdAt: run.createdAt }
    } finally {
      waiting -= 1
    }
  }

  server.get<{ Params: { name: string; id: string }; Querystring: { wait?: string; revoked?: unknown; log?: unknown } }>(
    '/tasks/:name/:id',
    async (request, reply) => {
      const { name, id } = request.params
      const found = isId(id) ? await describe(id) : undefined
      if (found === undefined || found.task !== name) return sendFailure(web, request, reply, NOT_FOUND)
      const run = await wait(found, waitSeconds(request.query.wait), request)
      const atMost = request.query.log === 'all' ? LINES_AT_MOST : LINES_SHOWN
      const last = run.startedAt === null && run.createdAt === null ? [] : await reports.lines(id, atMost + 1)
      const hasEarlierLines = last.length > atMost
      const lines = hasEarlierLines ? last.slice(1) : last
      if (wantsJson(request)) return reply.type('application/json; charset=utf-8').send(JSON.stringify(runJson(run, lines)))
      return sendPage(
        web,
        request,
        reply,
        runPage({ run, lines, hasEarlierLines, isRevoked: 'revoked' in request.query, now: web.now() }),
      )
    },
  )

  /** Redirects to the page of a run, for links that do not know the task name. */
  server.get<{ Params: { id: string } }>('/runs/:id', async (request, reply) => {
    const { id } = request.params
    const found = isId(id) ? await describe(id) : undefined
    return found === undefined ? sendFailure(web, request, reply, NOT_FOUND) : reply.redirect(runPath(found.task, id), 302)
  })

  server.post<{ Params: { name: string; id: string }; Body: URLSearchParams | undefined }>(
    '/tasks/:name/:id/revoke',
    async (request, reply) => {
      const { name, id } = request.params
      if (!isId(id)) return sendFailure(web, request, reply, NOT_FOUND)
      const terminate = request.body?.get('terminate') === 'on'
      await app.revoke({ ids: [id] }, { terminate })
      log.info({ task: name, id, terminate }, 'task revoked')
      return reply.redirect(`${runPath(name, id)}?revoked`, 303)
    },
  )
}

const NOT_FOUND = {
  status: 404,
  code: 'RUN_UNKNOWN',
  title: 'No such run',
  message: 'Nothing is known of this task and id.',
  hint: 'Check both; results are deleted after RESULT_TTL, one day unless set.',
}

/** Returns true for a text that PostgreSQL can compare: 1 to 255 characters without NUL. */
const isId = (id: string) => id.length > 0 && id.length <= 255 && !id.includes('\0')

function waitSeconds(text: unknown): number {
  const seconds = Number(text ?? 0)
  return Number.isFinite(seconds) && seconds > 0 ? Math.min(seconds, MAX_WAIT_SECONDS) : 0
}
