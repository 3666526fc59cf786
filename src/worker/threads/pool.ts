import { setFlagsFromString } from 'node:v8'
import type { MessagePort } from 'node:worker_threads'
import type { Log } from '../../log.ts'
import type { ThreadData, ThreadStart } from './protocol.ts'

export interface ThreadPoolOptions {
  /** The module that a thread runs. It exports `run(start: ThreadStart)`. */
  readonly entry: URL
  /** Largest number of threads at once. */
  readonly threads: number
  /** Heap of each thread, in megabytes. */
  readonly memoryMb: number
  readonly data: ThreadData
  readonly log: Log
  /** Called with the port of each new thread. */
  readonly onThread: (port: MessagePort) => void
}

export interface ThreadPool {
  /** Resolves when the thread is free again. Rejects if the thread ends, by the signal or by itself. */
  run(start: ThreadStart, signal: AbortSignal): Promise<unknown>
  close(): Promise<void>
}

/** A thread that is idle for this time is ended to free its memory. Milliseconds. */
const IDLE_MS = 30_000

/** Starts threads when tasks need them. piscina (928 kB) is loaded here, when the first task needs a thread. */
export async function createThreadPool(options: ThreadPoolOptions): Promise<ThreadPool> {
  const { Piscina } = await import('piscina')
  // The flag of the process (Procfile.real sets one) would win over the limit of each thread. This isolate has read its own limit already.
  setFlagsFromString('--max-old-space-size=0')
  const pool = new Piscina({
    filename: options.entry.href,
    name: 'run',
    minThreads: 0,
    maxThreads: options.threads,
    idleTimeout: IDLE_MS,
    workerData: options.data,
    resourceLimits: { maxOldGenerationSizeMb: options.memoryMb },
    // The default blocks an idle thread by Atomics.wait. Then a connection that a task left open could not react to a close by its server.
    atomics: 'disabled',
  })
  // Only for a thread without a task. A task whose thread dies gets the error by its promise.
  pool.on('error', (err) => options.log.error({ err }, 'thread died while it had no task'))
  pool.on('message', (message: { readonly port?: MessagePort }) => {
    if (message?.port !== undefined) options.onThread(message.port)
  })
  return {
    run: (start, signal) => pool.run(start, { signal }),
    close: () => pool.destroy(),
  }
}
