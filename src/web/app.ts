import { randomUUID } from 'node:crypto'
import fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify'
import { systemClock } from '../clock.ts'
import { registerTasksApi } from './api/tasks.ts'
import { loadAssets } from './asset-files.ts'
import { failureOf, titleOf } from './failure.ts'
import { registerAssets } from './pages/assets.ts'
import { registerDeadLetters } from './pages/dead-letters.ts'
import { registerHealth } from './pages/health.ts'
import { registerHome } from './pages/home.ts'
import { registerLogin } from './pages/login.ts'
import { registerQueues } from './pages/queues.ts'
import { registerRun } from './pages/run.ts'
import { registerSchedules } from './pages/schedules.ts'
import { createEarlyAnswers, type EarlyAnswers } from './security/early-answer.ts'
import { createGuard, type RouteKind } from './security/guard.ts'
import { SECURITY_HEADERS, STRICT_TRANSPORT } from './security/headers.ts'
import { isHttps } from './security/request-facts.ts'
import { answerVerdict } from './security/verdict-answer.ts'
import { sendFailure } from './send-failure.ts'
import type { WebContext, WebDependencies } from './web-context.ts'

const BODY_LIMIT = 64 * 1024
/** Longer than the 90 s for which Heroku's router keeps a connection, so that it never writes into one that has just been closed. */
const KEEP_ALIVE_MS = 95_000
/** Longer than the longest wait for a result, shorter than the router's patience. */
const HANDLER_MS = 28_000
/** A task id has at most 255 characters, each of which may be three in an address. */
const MAX_PARAM_LENGTH = 800
const PRIVATE_NETWORKS = ['loopback', 'linklocal', 'uniquelocal']

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Default `console`: a new route is closed unless it says otherwise. */
    kind?: RouteKind
  }
}

/** The form and the console, without a port: `inject` reaches every page. Closing it ends the answers that it holds back. */
export function createWebApp(dependencies: WebDependencies): FastifyInstance {
  const stopping = new AbortController()
  const clock = dependencies.clock ?? systemClock
  const guard = createGuard(dependencies.config, clock)
  const web: WebContext = {
    ...dependencies,
    clock,
    guard,
    assets: loadAssets(),
    stopping: stopping.signal,
    now: () => new Date(clock.now()),
  }
  const early = createEarlyAnswers()
  const server = createServer(web, early)

  server.addHook('preClose', async () => stopping.abort())
  server.addHook('onSend', (request, reply, _payload, done) => {
    // A connection that stays open after its last answer would hold a stopping server back until it is idle for 95 s.
    if (early.note(request.raw) || stopping.signal.aborted) reply.header('connection', 'close')
    done()
  })
  registerGuard(server, web)
  registerParsers(server)
  server.setErrorHandler((error, request, reply) => answerError(web, error, request, reply))
  server.setNotFoundHandler((request, reply) =>
    sendFailure(web, request, reply, {
      status: 404,
      code: 'NOT_FOUND',
      title: titleOf(404),
      message: 'There is no such page.',
      hint: '',
    }),
  )
  registerHealth(server, web)
  registerAssets(server, web)
  registerLogin(server, web)
  registerHome(server, web)
  registerRun(server, web)
  registerSchedules(server, web)
  registerQueues(server, web)
  registerDeadLetters(server, web)
  registerTasksApi(server, web)
  return server
}

function createServer(web: WebContext, early: EarlyAnswers): FastifyInstance {
  return fastify({
    clientErrorHandler: early.onClientError,
    bodyLimit: BODY_LIMIT,
    keepAliveTimeout: KEEP_ALIVE_MS,
    handlerTimeout: HANDLER_MS,
    requestTimeout: 30_000,
    routerOptions: { maxParamLength: MAX_PARAM_LENGTH },
    // While it closes, what still arrives on open connections is served; the answer says `connection: close`.
    return503OnClosing: false,
    onConstructorPoisoning: 'error',
    // Requests are checked by hand, so that a form can be told everything that is wrong at once. Without this, two compilers of JSON Schema are
    // loaded at start and never used: 35 ms and 4 MB (2026-11-22, 2 cores).
    schemaController: { compilersFactory: { buildValidator: noSchemas, buildSerializer: noSchemas } },
    requestIdHeader: false,
    genReqId: requestId,
    // Only behind a platform's router is X-Forwarded-For worth anything, and only the limit on passwords looks at it.
    trustProxy: web.config.platform === 'none' ? false : PRIVATE_NETWORKS,
    // These answers come before any hook: they must carry the headers too, and must not repeat the address.
    frameworkErrors: (error, request, reply) => {
      request.signedIn = false
      reply.headers(SECURITY_HEADERS)
      sendFailure(web, request, reply, failureOf(error, request.id))
    },
  })
}

function noSchemas(): never {
  throw new Error('routes of the web role have no schemas: check by hand, or let Fastify load its compilers again')
}

/** The router's id of a request, so that its log and ours can be read together; whatever else a client sends is not repeated. */
function requestId({ headers }: { headers: NodeJS.Dict<string | string[]> }): string {
  const given = headers['x-request-id']
  return typeof given === 'string' && /^[\w+/=-]{16,200}$/.test(given) ? given : randomUUID()
}

function registerGuard(server: FastifyInstance, web: WebContext): void {
  server.decorateRequest('signedIn', false)
  server.addHook('onRequest', (request, reply, done) => {
    const { method, headers } = request.raw
    reply.headers(SECURITY_HEADERS)
    if (isHttps(headers)) reply.headers(STRICT_TRANSPORT)
    if (!isKnownEncoding(headers['transfer-encoding'])) return void sendFailure(web, request, reply, UNKNOWN_ENCODING)
    const kind = request.is404 ? 'public' : (request.routeOptions.config.kind ?? 'console')
    const facts = { method: method ?? 'GET', headers, remoteAddress: request.socket.remoteAddress ?? '', address: request.ip }
    const verdict = web.guard.judge(facts, kind)
    if (verdict.kind !== 'pass') return void answerVerdict(web, verdict, request, reply)
    request.signedIn = verdict.signedIn
    return done()
  })
}

/** A body whose length is told by other rules than a proxy's may be read as two requests (RFC 9112 §6.1 asks for 501). */
const isKnownEncoding = (encoding: string | undefined) => encoding === undefined || encoding.toLowerCase() === 'chunked'

const UNKNOWN_ENCODING = {
  status: 501,
  code: 'TRANSFER_ENCODING',
  title: titleOf(501),
  message: 'Only chunked transfer encoding is known here.',
  hint: '',
}

/** Forms and JSON, nothing else. */
function registerParsers(server: FastifyInstance): void {
  server.removeContentTypeParser('text/plain')
  server.addContentTypeParser('application/x-www-form-urlencoded', { parseAs: 'string' }, (_request, body, done) => {
    done(null, new URLSearchParams(body as string))
  })
}

function answerError(web: WebContext, error: unknown, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const failure = failureOf(error, request.id)
  if (failure.status >= 500) {
    const level = failure.status === 503 ? 'warn' : 'error'
    web.log[level]({ err: error, request: request.id, method: request.method, path: request.routeOptions.url }, 'request failed')
  }
  return sendFailure(web, request, reply, failure)
}
