import { extname } from 'node:path'
import { Worker } from 'node:worker_threads'
import type { TaskDefaults } from '../../app/canvas/signature-message.ts'
import type { Task } from '../../app/task.ts'
import type { Delivery } from '../../broker/broker.ts'
import type { Config } from '../../config.ts'
import type { Log } from '../../log.ts'
import { BEAT, CURRENT, NOBODY, UNLIMITED, type WatchdogData, type WatchdogMessage } from './protocol.ts'

export interface WatchdogOptions {
  readonly config: Config
  /** The name of the worker, such as `celery@host`, under which outcomes are stored. */
  readonly name: string
  readonly blockedMs: number
  readonly tasks: ReadonlyMap<string, Task>
  readonly log: Log
}

/** Kills this process if a task blocks the event loop past its hard limit. */
export interface Watchdog {
  /** Called regularly while the event loop is not stuck. */
  beat(): void
  begun(delivery: Delivery, hardLimitMs: number): void
  /** Called when an attempt is over. Its code may still run. */
  ended(delivery: Delivery): void
  /** Returns true if the task is watched. Then `settled` must be called when its code ends. HOT. */
  guards(delivery: Delivery): boolean
  settled(delivery: Delivery): void
  /** Called when the synchronous start of a task begins. HOT. */
  entered(delivery: Delivery): void
  /** Called when the synchronous start of a task has ended. HOT. */
  left(): void
  close(): Promise<void>
}

/** Memory limits of the thread. They are small, because the thread only waits for messages and reads two numbers. */
const LIMITS = { maxOldGenerationSizeMb: 48, maxYoungGenerationSizeMb: 2, stackSizeMb: 1 }

/** Starts the watchdog thread (thread.ts). It does not keep the process alive. */
export function startWatchdog({ config, name, blockedMs, tasks, log }: WatchdogOptions): Watchdog {
  const shared = new Int32Array(new SharedArrayBuffer(8))
  const workerData: WatchdogData = { shared, config, name, blockedMs, routes: routesOf(tasks) }
  const file = new URL(`./thread${extname(import.meta.filename)}`, import.meta.url)
  const thread = new Worker(file, { workerData, resourceLimits: LIMITS, execArgv: [] })
  thread.unref()
  thread.on('error', (err) => log.error({ err }, 'watchdog thread failed, tasks that block the event loop are no longer ended'))
  const keys = new Map<Delivery, number>()
  /** The tasks whose code has started and not ended. */
  const inside = new Set<Delivery>()
  const send = (message: WatchdogMessage) => thread.postMessage(message)
  const forget = (delivery: Delivery, key: number) => {
    keys.delete(delivery)
    send({ tag: 'ended', key })
  }
  let last = 0
  return {
    beat: () => void Atomics.add(shared, BEAT, 1),
    begun(delivery, hardLimitMs) {
      const key = ++last
      keys.set(delivery, key)
      send({ tag: 'begun', key, task: { message: delivery.message, startedAt: Date.now(), limitMs: hardLimitMs } })
    },
    ended(delivery) {
      const key = keys.get(delivery)
      if (key === undefined) return
      if (inside.has(delivery)) send({ tag: 'overdue', key })
      else forget(delivery, key)
    },
    guards: (delivery) => keys.has(delivery),
    settled(delivery) {
      inside.delete(delivery)
      const key = keys.get(delivery)
      if (key !== undefined) forget(delivery, key)
    },
    entered(delivery) {
      const key = keys.get(delivery)
      if (key !== undefined) inside.add(delivery)
      Atomics.store(shared, CURRENT, key ?? UNLIMITED)
    },
    left: () => void Atomics.store(shared, CURRENT, NOBODY),
    async close() {
      await thread.terminate()
    },
  }
}

/**
 * Returns queue and priority of each task, which can be cloned. Routing functions cannot, so they are not called for messages
 * that follow from a killed task.
 */
function routesOf(tasks: ReadonlyMap<string, Task>): Record<string, TaskDefaults> {
  const routes: Record<string, TaskDefaults> = {}
  for (const [name, { options }] of tasks) {
    const { queue, priority, ignoreResult, expires } = options
    if (queue !== undefined || priority !== undefined || ignoreResult !== undefined || expires !== undefined)
      routes[name] = { queue, priority, ignoreResult, expires }
  }
  return routes
}
