import { pauseMs } from '../concurrency/retry.ts'
import { sleep } from '../concurrency/sleep.ts'
import { toError } from '../errors.ts'
import { type Postmaster, stopPostmaster } from './postmaster.ts'
import type { ServerLog } from './server-log.ts'

/** The pause before the second and later attempts to start a server that died; the first follows at once. */
const BACKOFF = { firstMs: 100, maxMs: 30_000 }

/** A server that ran this long had nothing wrong with its start. */
const STEADY_MS = 60_000

export interface KeepRunningOptions {
  /** Starts the server anew at the same address, or takes over what is left of it; stops it again when the signal aborts meanwhile. */
  readonly start: (signal: AbortSignal) => Promise<Postmaster>
  readonly log: ServerLog
  readonly note: (message: string, fields?: object) => void
}

/** Starts the server again whenever it ends. Returns what stops it for good; that resolves when the process is gone. */
export function keepRunning(first: Postmaster, options: KeepRunningOptions): () => Promise<void> {
  const stopping = new AbortController()
  const running = watch(first, stopping.signal, options)
  return () => {
    stopping.abort(new Error('the database is being stopped'))
    return running
  }
}

async function watch(first: Postmaster, stopping: AbortSignal, options: KeepRunningOptions): Promise<void> {
  const stopped = new Promise<'stopped'>((resolve) =>
    stopping.addEventListener('abort', () => resolve('stopped'), { once: true }),
  )
  let current: Postmaster | undefined = first
  let startedAt = Date.now()
  let quickDeaths = 0
  while (current !== undefined) {
    const exit = await Promise.race([stopped, current.exited])
    if (exit === 'stopped') return stopQuietly(current, options.log)
    options.note('database server ended', { pid: current.pid, ...exit })
    quickDeaths = Date.now() - startedAt > STEADY_MS ? 0 : quickDeaths + 1
    current = await startAgain(quickDeaths, stopping, options)
    startedAt = Date.now()
  }
}

/** undefined when it is to stop. */
async function startAgain(
  quickDeaths: number,
  stopping: AbortSignal,
  options: KeepRunningOptions,
): Promise<Postmaster | undefined> {
  for (let attempt = Math.max(0, quickDeaths - 1); ; attempt++) {
    const pause = attempt === 0 ? 0 : pauseMs(attempt - 1, BACKOFF)
    if (stopping.aborted || !(await sleep(pause, stopping))) return undefined
    try {
      return await options.start(stopping)
    } catch (error) {
      if (stopping.aborted) return undefined
      options.note('database server does not start', { error: toError(error).message, attempt })
    }
  }
}

async function stopQuietly(postmaster: Postmaster, log: ServerLog): Promise<void> {
  log.hold()
  try {
    await stopPostmaster(postmaster)
  } finally {
    log.pass('unusual')
  }
}
