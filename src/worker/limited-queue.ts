import type { Consumer } from '../broker/broker.ts'
import { sleep } from '../concurrency/sleep.ts'
import { waitAtMost } from '../concurrency/with-timeout.ts'
import type { Slots } from '../database/slots.ts'
import { type SuspendableWorker, startWorker, type Worker, type WorkerOptions } from './worker.ts'

/** A queue whose tasks run only so many at once over all workers, as far as this process has a part in it. */
export interface LimitedQueue {
  /** undefined: no tasks of it are to be begun here any more. */
  set(limit: number | undefined): void
  /** The worker that takes from it, while this process has a place. */
  readonly worker: Worker | undefined
  stop(): Promise<void>
}

export interface LimitedQueueOptions extends WorkerOptions {
  /** Told of each worker that was started for the queue. */
  readonly onStart: (worker: Worker) => void
}

/** Others look for a free place this often: so a dead worker's queue goes on within about a second. */
const TICK_MS = 500
const WAIT_MS = 100
/** Redis may list a message as running of which its worker, a Python one, knows nothing any more: the queue does not wait for it for ever. */
const REDIS_PATIENCE_MS = 60_000

/**
 * A process that gets a place (a session advisory lock) runs a worker of its own for the queue, with as many slots as it has places. Who
 * has none looks again and again. With a limit of 1 the next one begins only when nobody has a message of the queue in hand any more, so
 * that the order is kept when a worker dies: its message is the first again.
 */
export function createLimitedQueue(name: string, { onStart, ...options }: LimitedQueueOptions, slots: Slots): LimitedQueue {
  const { log, broker } = options
  const key = `queue.${name}`
  let limit: number | undefined
  /** The limit under which places were taken. */
  let placed = 0
  let worker: SuspendableWorker | undefined
  let standby: Consumer | undefined
  let waitingSince: number | undefined
  let loop: Promise<void> | undefined
  let rest = new AbortController()
  let stopped = false
  let said = false

  const step = async (): Promise<number> => {
    const wanted = Math.min(limit ?? 0, options.concurrency)
    // Fewer places are other places: those that this process has may be beyond them.
    const have = wanted === 0 || limit! < placed ? 0 : await slots.take(key, wanted, limit!)
    if (have === 0) return leave()
    placed = limit!
    if (worker !== undefined) {
      worker.suspend(false)
      if (worker.concurrency !== have) await worker.reconfigure({ concurrency: have })
      return TICK_MS
    }
    if (limit === 1 && !(await isQuiet())) return WAIT_MS
    waitingSince = undefined
    await endStandby()
    worker = await startWorker({ ...options, queues: [name], concurrency: have, inOrder: limit === 1 })
    onStart(worker)
    // Asked to stop meanwhile, when there was no worker to be stopped.
    if (stopped) await worker.stop()
    log.info({ queue: name, concurrency: have, limit }, 'takes from a queue with a limit over all workers')
    return TICK_MS
  }

  /** Begins nothing any more; what runs goes on, and keeps the places until it is over. */
  const leave = async (): Promise<number> => {
    waitingSince = undefined
    await endStandby()
    worker?.suspend(true)
    // Only then does it let go of what it has taken: who comes next is to begin when nothing of the queue runs any more.
    if (worker !== undefined && worker.running > 0) return WAIT_MS
    await worker?.stop()
    worker = undefined
    if (!(await slots.release(key))) return WAIT_MS
    const again = limit !== undefined && limit < placed
    placed = 0
    return again ? 0 : TICK_MS
  }

  const isQuiet = async (): Promise<boolean> => {
    waitingSince ??= performance.now()
    const waitedMs = performance.now() - waitingSince
    const [depth] = await broker.depths([name])
    if ((depth?.running ?? 0) === 0) return true
    if (broker.kind === 'redis' && waitedMs > REDIS_PATIENCE_MS) {
      log.warn(
        { queue: name, running: depth?.running },
        'messages of this queue are in no worker that could be asked, not waited for',
      )
      return true
    }
    // It takes nothing, but looks for dead workers: without it nobody might.
    if (broker.kind !== 'amqp')
      standby ??= await broker.consume({ queues: [name], concurrency: 0, name: options.name, onDeliveries() {} })
    return false
  }

  const endStandby = async () => {
    const ended = standby
    standby = undefined
    await ended?.close()
  }

  const run = async () => {
    while (!stopped && (limit !== undefined || worker !== undefined || placed > 0)) {
      rest = new AbortController()
      const waitMs = await attempt()
      if (waitMs > 0 && !stopped) await sleep(waitMs, rest.signal)
    }
  }

  const attempt = async (): Promise<number> => {
    try {
      const waitMs = await step()
      said = false
      return waitMs
    } catch (error) {
      if (!said) log.warn({ queue: name, reason: (error as Error).message }, 'limited queue waits for its broker or database')
      said = true
      return TICK_MS
    }
  }

  const wake = () => {
    rest.abort()
    if (stopped) return
    loop ??= run().finally(() => {
      loop = undefined
      if (limit !== undefined) wake()
    })
  }

  return {
    set(given) {
      if (limit === given) return
      limit = given
      wake()
    },
    get worker() {
      return worker
    },
    async stop() {
      stopped = true
      rest.abort()
      // It may wait for a broker that is away: the worker that there is has to end in time all the same.
      const ended = worker?.stop()
      await waitAtMost(loop ?? Promise.resolve(), options.graceMs)
      await (ended ?? worker?.stop())
      await endStandby().catch(() => {})
      await slots.release(key).catch(() => {})
    },
  }
}
