import type { TaskContext } from '../app/task-context.ts'
import type { TaskOptions } from '../app/task-options.ts'
import type { Config } from '../config.ts'
import type { Log } from '../log.ts'

const TIMEOUT_MS = 10_000

/** The result of a visit: the status of the router's answer, or the error. */
interface Visit {
  /** Null if no public URL is known. */
  readonly url: string | null
  readonly awake: boolean
  readonly status?: number
  readonly error?: string
}

/**
 * Creates the task `onedyno.keep_awake()`, which visits the public URL through the platform's router, because platforms count
 * only such requests as traffic (Heroku devcenter "Eco Dyno Hours", Render "Deploy for Free"). The URL comes from the
 * configuration and not from an argument, and redirects are not followed, so the checks of `tasks.fetch_url` are not needed. The
 * first failed visit logs a warning; the task does not fail.
 */
export function createKeepAwake(
  config: Pick<Config, 'publicUrl'>,
  log: Log,
  timeoutMs: number = TIMEOUT_MS,
): (context: Pick<TaskContext, 'signal'>) => Promise<Visit> {
  let wasAwake: boolean | undefined
  return async ({ signal }) => {
    if (config.publicUrl === undefined) return { url: null, awake: false, error: 'no public URL is known: set PUBLIC_URL' }
    const url = `${config.publicUrl}/ping`
    const visit = await requestOnce(url, AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]))
    if (visit.awake !== wasAwake) report(log, visit, wasAwake === undefined)
    wasAwake = visit.awake
    return visit
  }
}

function report(log: Log, visit: Visit, isFirst: boolean): void {
  const { url, status, error } = visit
  if (visit.awake) log.info({ url, status }, isFirst ? 'public URL answers, kept awake by visits' : 'public URL answers again')
  else log.warn({ url, status, reason: error }, 'public URL does not answer, the platform may put this service to sleep')
}

/** Uses node:http, because undici takes 29 MB of memory. A 5xx status comes from the router, not from this application. */
async function requestOnce(url: string, signal: AbortSignal): Promise<Visit> {
  const { get } = url.startsWith('https:') ? await import('node:https') : await import('node:http')
  return new Promise((resolve) => {
    const fail = (error: Error) => resolve({ url, awake: false, error: signal.aborted ? 'no answer in time' : error.message })
    const request = get(url, { signal, agent: false, headers: { 'user-agent': 'onedyno keep-awake' } }, (response) => {
      const status = response.statusCode ?? 0
      response.destroy()
      resolve(status < 500 ? { url, awake: true, status } : { url, awake: false, status, error: `the router answered ${status}` })
    })
    request.on('error', fail)
  })
}

export const keepAwakeOptions: TaskOptions<[]> & { bind: true } = {
  bind: true,
  description:
    'Visits the public URL of this application, so that the platform does not put it to sleep. A schedule runs it on platforms where that helps.',
  args: [],
  example: [],
}
