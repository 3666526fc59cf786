import { createRegistry } from '../../src/app/app.ts'
import { createPostgresBroker } from '../../src/broker/postgres/broker.ts'
import { createBackend } from '../../src/commands/backend.ts'
import { webStores } from '../../src/commands/web-stores.ts'
import { type Environment, parseConfig } from '../../src/config.ts'
import { createResults } from '../../src/database/results.ts'
import { silentLog } from '../../src/log.ts'
import { registerShippedTasks } from '../../src/tasks/shipped.ts'
import { runWeb } from '../../src/web/server.ts'
import { startWorker } from '../../src/worker/worker.ts'
import type { TestSchema } from './database.ts'

export type TestConsole = Awaited<ReturnType<typeof startTestConsole>>

/** The web role on a free port with a real schema, and with a worker unless `worker` is false. */
export async function startTestConsole(schema: TestSchema, options: { env?: Environment; worker?: boolean } = {}) {
  const config = parseConfig({ HOST: '127.0.0.1', ...schema.env, PORT: '0', ...options.env })
  const log = silentLog()
  const database = schema.open({ env: { ...options.env } as Record<string, string>, name: 'web' })
  const results = createResults(database)
  const broker = createPostgresBroker(database, config, log)
  const app = createRegistry(async () => createBackend(database, broker, results))
  registerShippedTasks(app, { config, log, results })
  const stopping = new AbortController()
  let onListening: (url: string) => void = () => {}
  const listening = new Promise<string>((resolve) => {
    onListening = resolve
  })
  const stores = webStores(database, broker, results)
  const ended = runWeb({
    config,
    log,
    app,
    database,
    ...stores,
    signal: stopping.signal,
    onListening: (url) => onListening(url),
  })
  const url = await Promise.race([listening, ended.then(() => Promise.reject(new Error('the web role ended')))])
  const consumer = options.worker === false ? undefined : schema.open({ name: 'worker' })
  const worker =
    consumer &&
    (await startWorker({
      app,
      broker: createPostgresBroker(consumer, config, log),
      log,
      name: 'celery@test',
      queues: ['celery'],
      concurrency: 4,
      maxDeliveries: 3,
      graceMs: 1000,
    }))
  return {
    url,
    app,
    results,
    schedules: stores.schedules,
    /** Resolves when the role has ended. */
    ended,
    /** Stops the role as SIGTERM does. */
    stopWeb: () => stopping.abort(),
    async stop() {
      stopping.abort()
      await ended
      await worker?.stop()
    },
  }
}

/** Headers that a browser sends with a form of the console. */
export const postForm = (url: string, fields: Record<string, string>, headers: Record<string, string> = {}): Promise<Response> =>
  fetch(url, {
    method: 'POST',
    redirect: 'manual',
    headers: { accept: 'text/html', 'sec-fetch-site': 'same-origin', ...headers },
    body: new URLSearchParams(fields),
  })

export const getJson = async (url: string): Promise<Record<string, unknown>> =>
  (await (await fetch(url, { headers: { accept: 'application/json' } })).json()) as Record<string, unknown>
