import { setFlagsFromString } from 'node:v8'
import type { MessagePort } from 'node:worker_threads'
import type { Log } from '../../log.ts'
import type { ThreadData, ThreadStart } from './protocol.ts'

export interface ThreadPoolOptions {
  /** The module that a thread runs; exports `run(start: ThreadStart)`. */
  readonly entry: URL
  /** At most so many at once. */
  readonly threads: number
  /** Heap of each, in megabytes. */
  readonly memoryMb: number
  readonly data: ThreadData
  readonly log: Log
  /** A new thread's line to this one. */
  readonly onThread: (port: MessagePort) => void
}

export interface ThreadPool {
  /** Resolves when the thread is free again. Rejects when it is gone: ended by the signal, or by itself. */
  run(start: ThreadStart, signal: AbortSignal): Promise<unknown>
  close(): Promise<void>
}

/** A thread that had nothing to do for so long is ended, and its memory is free again. Milliseconds. */
const IDLE_MS = 30_000

/** Threads are started when there is work for them. piscina is loaded here: 928 kB of disk, nothing until the first task asks for a thread. */
export async function createThreadPool(options: ThreadPoolOptions): Promise<ThreadPool> {
  const { Piscina } = await import('piscina')
  // The flag of the process (Procfile.real has one) would win over the limit of each thread; this isolate has read it already and keeps it.
  setFlagsFromString('--max-old-space-size=0')
  const pool = new Piscina({
    filename: options.entry.href,
    name: 'run',
    minThreads: 0,
    maxThreads: options.threads,
    idleTimeout: IDLE_MS,
    workerData: options.data,
    resourceLimits: { maxOldGenerationSizeMb: options.memoryMb },
    // The default blocks an idle thread by Atomics.wait: connections that a task has left open could not even be closed by their server.
    atomics: 'disabled',
  })
  // Of a thread that had no task: those with one are told by their promise.
  pool.on('error', (err) => options.log.error({ err }, 'a thread ended while it had no task'))
  pool.on('message', (message: { readonly port?: MessagePort }) => {
    if (message?.port !== undefined) options.onThread(message.port)
  })
  return {
    run: (start, signal) => pool.run(start, { signal }),
    close: () => pool.destroy(),
  }
}
