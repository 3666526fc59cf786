import { setFlagsFromString } from 'node:v8'
import type { MessagePort } from 'node:worker_threads'
import type { Log } from '../../log.ts'
import type { ThreadData, ThreadStart } from './protocol.ts'

export interface ThreadPoolOptions {
  /** The module that a thread runs. It exports `run(start: ThreadStart)`. */
  readonly entry: URL
  /** Largest number of threads at once. */
  readonly threads: number
  /** Size of the heap of each thread, in megabytes. */
  readonly memoryMb: number
  readonly data: ThreadData
  readonly log: Log
  /** Called with the port of each new thread. */
  readonly onThread: (port: MessagePort) => void
}

export interface ThreadPool {
  /**
   * Runs a task in a thread. Resolves when the thread is free again. Rejects if the thread ends, because of the signal or for
   * another reason.
   */
  run(start: ThreadStart, signal: AbortSignal): Promise<unknown>
  close(): Promise<void>
}

/** A thread that is idle for this time is ended to free its memory. Milliseconds. */
const IDLE_MS = 30_000

/**
 * Creates a pool that starts threads when tasks need them. piscina (928 kB) is loaded by this function, so only when a task
 * needs a thread.
 */
export async function createThreadPool(options: ThreadPoolOptions): Promise<ThreadPool> {
  const { Piscina } = await import('piscina')
  // If the process has this flag (Procfile.real sets it), it would override the limit of each thread, so the flag is reset. The
  // main thread has already read its own limit.
  setFlagsFromString('--max-old-space-size=0')
  const pool = new Piscina({
    filename: options.entry.href,
    name: 'run',
    minThreads: 0,
    maxThreads: options.threads,
    idleTimeout: IDLE_MS,
    workerData: options.data,
    resourceLimits: { maxOldGenerationSizeMb: options.memoryMb },
    // By default, Atomics.wait blocks an idle thread. A connection that a task left open could then not react when its server
    // closes it.
    atomics: 'disabled',
  })
  // This event only concerns threads without a task. If a thread dies with a task, the promise of the task rejects.
  pool.on('error', (err) => options.log.error({ err }, 'thread died while it had no task'))
  pool.on('message', (message: { readonly port?: MessagePort }) => {
    if (message?.port !== undefined) options.onThread(message.port)
  })
  return {
    run: (start, signal) => pool.run(start, { signal }),
    close: () => pool.destroy(),
  }
}
