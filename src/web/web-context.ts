import type { FastifyReply, FastifyRequest } from 'fastify'
import type { App } from '../app/app.ts'
import type { QueueDepth } from '../broker/broker.ts'
import type { Clock } from '../clock.ts'
import type { Config } from '../config.ts'
import type { DeadLetters } from '../database/dead-letters.ts'
import type { QueueSettings } from '../database/queue-settings.ts'
import type { Results } from '../database/results.ts'
import type { Schedules } from '../database/schedules.ts'
import type { TaskReports } from '../database/task-reports.ts'
import type { Log } from '../log.ts'
import type { Asset, AssetName } from './asset-files.ts'
import type { Guard } from './security/guard.ts'
import { type Page, renderPage } from './views/layout.ts'

/** `running` is undefined on RabbitMQ, where each process can count only its own deliveries. */
export type AskedDepth = Omit<QueueDepth, 'running'> & { readonly running: number | undefined }

/** Dependencies of the pages, which the process or a test provides. */
export interface WebDependencies {
  readonly config: Config
  readonly log: Log
  readonly app: Pick<App, 'tasks' | 'message' | 'sendTask' | 'revoke'>
  readonly results: Pick<Results, 'find' | 'wait' | 'forget' | 'recordSent' | 'locate'>
  readonly schedules: Schedules
  readonly queues: Pick<QueueSettings, 'listQueues' | 'pause' | 'resume' | 'limit'> & {
    depths(names: readonly string[]): Promise<readonly AskedDepth[]>
  }
  readonly deadLetters: DeadLetters
  readonly reports: Pick<TaskReports, 'lines'>
  /** Rejects with an AppError that says why tasks cannot be taken. */
  readonly checkReady: () => Promise<void>
  readonly clock?: Clock
}

/** The dependencies, and the objects that the web application created from them. */
export interface WebContext extends Required<WebDependencies> {
  readonly guard: Guard
  readonly assets: Readonly<Record<AssetName, Asset>>
  /** Aborts when the server closes. A long poll must then answer. */
  readonly stopping: AbortSignal
  now(): Date
}

declare module 'fastify' {
  interface FastifyRequest {
    /** Set by the guard for each request. */
    signedIn: boolean
  }
}

export function sendPage(web: WebContext, request: FastifyRequest, reply: FastifyReply, page: Page): FastifyReply {
  const { assets, guard } = web
  const frame = {
    styleUrl: assets['console.css'].url,
    scriptUrl: assets['console.js'].url,
    iconUrl: assets['icon.svg'].url,
    signedIn: request.signedIn,
    canSignOut: guard.access === 'password',
  }
  return reply.type('text/html; charset=utf-8').send(renderPage(page, frame))
}

/** Returns true if the client wants JSON: by `Accept`, by `?format=json` (for people), and always under /api/. */
export function wantsJson(request: FastifyRequest): boolean {
  const accept = request.headers.accept ?? ''
  const { format } = (request.query ?? {}) as { format?: unknown }
  return (
    format === 'json' || request.url.startsWith('/api/') || (accept.includes('application/json') && !accept.includes('text/html'))
  )
}
