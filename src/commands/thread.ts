import { MessageChannel, parentPort, workerData } from 'node:worker_threads'
import type { App, Backend } from '../app/app.ts'
import { createLog, type Log } from '../log.ts'
import { registerCanvasTasks } from '../tasks/canvas.ts'
import { registerShippedTasks } from '../tasks/shipped.ts'
import { createThread, type Thread } from '../worker/threads/main.ts'
import type { ThreadData, ThreadStart } from '../worker/threads/protocol.ts'
import { carry } from '../worker/threads/thrown.ts'
import { loadApp } from './load-app.ts'

interface Loaded {
  readonly app: App
  readonly log: Log
}

let opened: Thread | undefined
let loading: Promise<Loaded> | undefined

/** Runs a task in a worker thread. The pool calls it for each task, one after the other. The first call loads the application. */
export async function run(start: ThreadStart): Promise<void> {
  opened ??= open()
  const thread = opened
  await thread.run(start, () => {
    loading ??= load(thread, workerData as ThreadData)
    return loading
  })
}

/** Opens a port to the main thread that is separate from the pool's own port. */
function open(): Thread {
  const { port1, port2 } = new MessageChannel()
  parentPort?.postMessage({ port: port2 }, [port2])
  process.on('unhandledRejection', (reason) => port1.postMessage({ tag: 'rejection', thrown: carry(reason) }))
  return createThread(port1)
}

/** Loads the same application as the main thread. Its connections stay in the main thread. */
async function load(thread: Thread, { config, appModule, methods }: ThreadData): Promise<Loaded> {
  const log = createLog({ level: config.logLevel, format: 'json' }, thread.lines)
  const app = await loadApp(appModule)
  const backend = Object.fromEntries(methods.map((method) => [method, (...args: unknown[]) => thread.call(method, args)]))
  const connected = backend as unknown as Backend
  const results = { find: connected.find, cleanUp: (seconds: number) => thread.call('cleanUp', [seconds]) as Promise<number> }
  registerShippedTasks(app, { config, log, results })
  registerCanvasTasks(app, { config, results })
  app.connect(connected)
  return { app, log }
}
