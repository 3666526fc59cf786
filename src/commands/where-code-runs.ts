import { availableParallelism } from 'node:os'
import { extname } from 'node:path'
import type { App } from '../app/app.ts'
import type { Backend } from '../app/backend.ts'
import type { Config } from '../config.ts'
import type { Results } from '../database/results.ts'
import type { Log } from '../log.ts'
import type { Runner } from '../worker/attempt/ports.ts'
import { createRecycling } from '../worker/recycle.ts'
import type { ThreadRunner } from '../worker/threads/runner.ts'
import { createLoopWatch, type OwnLoopWatch } from '../worker/watchdog/loop-watch.ts'
import { startWatchdog } from '../worker/watchdog/watchdog.ts'
import { createRunner, runsInThread } from '../worker/where-code-runs.ts'
import type { Worker } from '../worker/worker.ts'

interface WhereOptions {
  readonly app: Pick<App, 'tasks'>
  /** The module that a thread loads. Undefined: the thread has only the shipped tasks. */
  readonly appModule: string | undefined
  readonly config: Config
  readonly log: Log
  /** The name of the worker. */
  readonly name: string
  readonly backend: Backend
  readonly results: Pick<Results, 'cleanUp'>
  /** Returns the worker. Undefined until it has started. */
  readonly worker: () => Pick<Worker, 'active'> | undefined
  /** Called when the worker has run `maxTasks` tasks or uses more than `maxMemoryMb`. */
  readonly recycle: (idle: Promise<void>) => void
}

interface WhereCodeRuns {
  readonly runner: Runner
  readonly watch: OwnLoopWatch
  close(): Promise<void>
}

/** Returns the maximum number of threads of one worker. */
const threadsOf = ({ threads, concurrency }: Pick<Config, 'threads' | 'concurrency'>): number =>
  Math.min(concurrency, threads === 0 ? availableParallelism() : threads)

/**
 * Returns the number of messages that the worker takes: one per thread, if every task runs in a thread. Further messages would
 * wait in this worker, where other workers cannot take them.
 */
export const slotsOf = (config: Config): number => (config.pool === 'thread' ? threadsOf(config) : config.concurrency)

/** Runs code on the event loop or in threads, watches the loop, and counts tasks for recycling. */
export function whereCodeRuns(options: WhereOptions): WhereCodeRuns {
  const { app, config, log, name } = options
  const { pool, loopBlockedMs: blockedMs, maxTasks, maxMemoryMb } = config
  const watch = createLoopWatch({
    log,
    blockedMs,
    inFlight: () =>
      options
        .worker()
        ?.active()
        .map(({ delivery }) => delivery) ?? [],
    isOnLoop({ message: { headers } }) {
      const task = app.tasks.get(headers.task)
      return task !== undefined && !runsInThread(task, pool)
    },
    watchdog: () => startWatchdog({ config, name, blockedMs, tasks: app.tasks, log }),
  })
  const recycling = createRecycling({ maxTasks, maxMemoryMb, log, recycle: options.recycle })
  const runner = createRunner({ pool, watch, recycling, threads: () => openThreads(options) })
  return {
    runner,
    watch,
    async close() {
      await Promise.all([runner.close(), watch.close()])
    },
  }
}

/** Opens the threads. Called by the first task that needs a thread, so that workers without such tasks do not load piscina. */
async function openThreads({ config, log, appModule, backend, results }: WhereOptions): Promise<ThreadRunner> {
  const { createThreadRunner } = await import('../worker/threads/runner.ts')
  return createThreadRunner({
    entry: new URL(`./thread${extname(import.meta.filename)}`, import.meta.url),
    threads: threadsOf(config),
    memoryMb: config.threadMemoryMb,
    log,
    services: { ...backend, cleanUp: results.cleanUp },
    data: { config, appModule },
  })
}
