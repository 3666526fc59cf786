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
  /** Of the worker, as in `celery@host`: outcomes are recorded under it. */
  readonly name: string
  readonly blockedMs: number
  readonly tasks: ReadonlyMap<string, Task>
  readonly log: Log
}

/** Ends this process when a task with a hard limit never gives the event loop back. */
export interface Watchdog {
  /** The loop goes round. */
  beat(): void
  begun(delivery: Delivery, hardLimitMs: number): void
  /** The attempt is over; its code perhaps is not. */
  ended(delivery: Delivery): void
  /** Is this task watched? Then its code is waited for (`settled`). HOT. */
  guards(delivery: Delivery): boolean
  settled(delivery: Delivery): void
  /** HOT. From here on this task has the loop for itself … */
  entered(delivery: Delivery): void
  /** … until here. */
  left(): void
  close(): Promise<void>
}

/** A thread with little memory: it waits for messages and looks at two numbers. */
const LIMITS = { maxOldGenerationSizeMb: 48, maxYoungGenerationSizeMb: 2, stackSizeMb: 1 }

/** Starts the thread (thread.ts). It does not keep the process alive. */
export function startWatchdog({ config, name, blockedMs, tasks, log }: WatchdogOptions): Watchdog {
  const shared = new Int32Array(new SharedArrayBuffer(8))
  const workerData: WatchdogData = { shared, config, name, blockedMs, routes: routesOf(tasks) }
  const file = new URL(`./thread${extname(import.meta.filename)}`, import.meta.url)
  const thread = new Worker(file, { workerData, resourceLimits: LIMITS, execArgv: [] })
  thread.unref()
  thread.on('error', (err) => log.error({ err }, 'the watchdog thread failed: a task that never yields is not ended any more'))
  const keys = new Map<Delivery, number>()
  /** Those whose code has begun and not come to its end. */
  const inside = new Set<Delivery>()
  const say = (message: WatchdogMessage) => thread.postMessage(message)
  const forget = (delivery: Delivery, key: number) => {
    keys.delete(delivery)
    say({ tag: 'ended', key })
  }
  let last = 0
  return {
    beat: () => void Atomics.add(shared, BEAT, 1),
    begun(delivery, hardLimitMs) {
      const key = ++last
      keys.set(delivery, key)
      say({ tag: 'begun', key, task: { message: delivery.message, startedAt: Date.now(), limitMs: hardLimitMs } })
    },
    ended(delivery) {
      const key = keys.get(delivery)
      if (key === undefined) return
      if (inside.has(delivery)) say({ tag: 'overdue', key })
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

/** What can be cloned of it: functions that route are not asked for what follows from a task that had to be killed. */
function routesOf(tasks: ReadonlyMap<string, Task>): Record<string, TaskDefaults> {
  const routes: Record<string, TaskDefaults> = {}
  for (const [name, { options }] of tasks) {
    const { queue, priority, ignoreResult, expires } = options
    if (queue !== undefined || priority !== undefined || ignoreResult !== undefined || expires !== undefined)
      routes[name] = { queue, priority, ignoreResult, expires }
  }
  return routes
}
