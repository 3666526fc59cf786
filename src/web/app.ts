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
import { answerRefusal } from './security/refusal-answer.ts'
import { isHttps } from './security/request-facts.ts'
import { sendFailure } from './send-failure.ts'
import type { WebContext, WebDependencies } from './web-context.ts'

const BODY_LIMIT = 64 * 1024
/**
 * Milliseconds. Heroku's router keeps a connection for 90 s. This server keeps it longer, so the router never writes into a
 * closed connection.
 */
const KEEP_ALIVE_MS = 95_000
/** Milliseconds: longer than the longest wait for a result (`MAX_WAIT_SECONDS`), shorter than the router's timeout of 30 s. */
const HANDLER_MS = 28_000
/** A task id has at most 255 characters, and each percent-encoded byte takes three. */
const MAX_PARAM_LENGTH = 800
const PRIVATE_NETWORKS = ['loopback', 'linklocal', 'uniquelocal']

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Default: `console`, so a new route requires a session unless its config names another kind. */
    kind?: RouteKind
  }
}

/**
 * Creates the form and the console, without listening on a port. Tests reach every page with `inject`. `close()` also ends the
 * long polls that are under way.
 */
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
    // An idle connection that stays open would delay the stop of the server by up to 95 s.
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
    // While the server stops, it still serves requests on open connections, with `connection: close`.
    return503OnClosing: false,
    onConstructorPoisoning: 'error',
    // Our own code checks requests, so that a form shows all problems at once. Without this option Fastify loads two JSON Schema
    // compilers at start that nothing uses: 35 ms and 4 MB (2026-11-22, 2 cores).
    schemaController: { compilersFactory: { buildValidator: noSchemas, buildSerializer: noSchemas } },
    requestIdHeader: false,
    genReqId: requestId,
    // X-Forwarded-For is trustworthy only behind a platform's router. Only the limit on password attempts uses it.
    trustProxy: web.config.platform === 'none' ? false : PRIVATE_NETWORKS,
    // Fastify sends the answers to these errors before any hook runs. They need the security headers too, and must not repeat
    // the URL.
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

/**
 * Returns the router's request id, so that a person can match both logs. Any other value from a client is replaced by a new id.
 */
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
    const decision = web.guard.judge(facts, kind)
    if (decision.kind !== 'pass') return void answerRefusal(web, decision, request, reply)
    request.signedIn = decision.signedIn
    return done()
  })
}

/**
 * Returns false for other transfer codings: a proxy could find a different end of the body, which allows request smuggling (RFC
 * 9112 §6.1 asks for 501).
 */
const isKnownEncoding = (encoding: string | undefined) => encoding === undefined || encoding.toLowerCase() === 'chunked'

const UNKNOWN_ENCODING = {
  status: 501,
  code: 'TRANSFER_ENCODING',
  title: titleOf(501),
  message: 'Only chunked transfer encoding is known here.',
  hint: '',
}

/** Accepts forms and JSON only. */
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
