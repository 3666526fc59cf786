import { pauseMs } from '../concurrency/retry.ts'
import { sleep } from '../concurrency/sleep.ts'
import { toError } from '../errors.ts'
import { type Postmaster, stopPostmaster } from './postmaster.ts'
import type { ServerLog } from './server-log.ts'

/** Pauses before the second and later attempts to restart a server that died. The first attempt follows without a pause. */
const BACKOFF = { firstMs: 100, maxMs: 30_000 }

/** Milliseconds. If a server ran this long, its start was good, so the pauses begin with the shortest again. */
const STEADY_MS = 60_000

interface KeepRunningOptions {
  /** Starts the server again at the same address, or adopts a leftover server. Stops it if the signal aborts meanwhile. */
  readonly start: (signal: AbortSignal) => Promise<Postmaster>
  readonly log: ServerLog
  readonly note: (message: string, fields?: object) => void
}

/** Restarts the server whenever it ends. @returns a function that stops the server and resolves when its process has ended */
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

/** @returns undefined if the signal aborts */
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
      options.note('database server did not start', { error: toError(error).message, attempt })
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
