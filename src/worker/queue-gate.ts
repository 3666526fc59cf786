import { createOutcomeBacklog } from '../broker/outcomes/backlog.ts'
import { createMutex } from '../concurrency/mutex.ts'
import { retry } from '../concurrency/retry.ts'
import type { Database } from '../database/database.ts'
import type { QueueSetting, QueueSettings } from '../database/queue-settings.ts'
import { createSlots, type Slots } from '../database/slots.ts'
import { startWokenLoop } from '../database/woken-loop.ts'
import type { TimeLimits } from './attempt/effective-options.ts'
import { createLimitedQueue, type LimitedQueue } from './limited-queue.ts'
import { startWorker, type Worker, type WorkerOptions } from './worker.ts'

/** Changes come by NOTIFY; this is for a connection that hears none, such as one through a pooler. */
const MAX_SLEEP_MS = 5000

/**
 * A worker that takes from its queues as far as they are open: not from one that is paused, and from one with a limit over all workers
 * only while it has a place there. Looks like one worker from outside. Settings are heard at once, and read again after a reconnection.
 */
export async function startGatedWorker(options: WorkerOptions, database: Database, settings: QueueSettings): Promise<Worker> {
  const { log } = options
  let wanted = options.queues
  let known = byName(
    await retry(() => settings.all(), { firstMs: 100, maxMs: 2000, isRetryable: () => true, giveUpAfterMs: 30_000 }),
  )
  const limited = new Map<string, LimitedQueue>()
  let slots: Promise<Slots> | undefined
  /** Changes are made one after the other, whether a person or the database asks for them. */
  const changes = createMutex()
  let stopping: Promise<void> | undefined

  const timeLimits = new Map<string, TimeLimits>()
  const onStart = (worker: Worker) => {
    for (const [task, limits] of timeLimits) worker.setTimeLimits(task, limits)
  }

  const isFree = (queue: string) => !known.has(queue)
  const shared = { ...options, backlog: options.backlog ?? createOutcomeBacklog(options.log) }
  const main = await startWorker({ ...shared, queues: wanted.filter(isFree) })

  const apply = async () => {
    if (stopping !== undefined) return
    const free = wanted.filter(isFree)
    const isSame = free.length === main.queues.length && free.every((queue, index) => queue === main.queues[index])
    if (!isSame) await main.reconfigure({ queues: free })
    await applyLimits()
  }

  const applyLimits = async () => {
    for (const [queue, each] of limited) each.set(limitOf(queue))
    for (const queue of wanted) {
      const limit = limitOf(queue)
      if (limit === undefined || limited.has(queue)) continue
      slots ??= createSlots(database)
      const created = createLimitedQueue(queue, { ...shared, onStart }, await slots)
      limited.set(queue, created)
      created.set(limit)
    }
  }

  const limitOf = (queue: string): number | undefined => {
    const setting = known.get(queue)
    if (setting === undefined || setting.paused || !wanted.includes(queue)) return undefined
    return setting.concurrency ?? undefined
  }

  const read = async () => {
    const former = known
    known = byName(await settings.all())
    say(former, known)
    await apply()
  }

  const say = (former: ReadonlyMap<string, QueueSetting>, now: ReadonlyMap<string, QueueSetting>) => {
    for (const queue of wanted) {
      const paused = now.get(queue)?.paused ?? false
      if ((former.get(queue)?.paused ?? false) !== paused) log.info({ queue }, paused ? 'queue is paused' : 'queue goes on')
    }
  }

  await changes.run(apply)
  const watching = startWokenLoop(database, {
    log,
    channel: database.channel('queue_setting'),
    maxSleepMs: MAX_SLEEP_MS,
    words: {
      failed: 'settings of queues cannot be applied now, trying again until they can',
      restored: 'settings of queues are applied',
    },
    pass: () => changes.run(read).then(() => MAX_SLEEP_MS),
  })

  const workers = (): Worker[] => [main, ...[...limited.values()].flatMap(({ worker }) => worker ?? [])]
  const stop = async () => {
    await Promise.all([watching.stop(), main.stop(), ...[...limited.values()].map((each) => each.stop())])
    await (await slots)?.close()
  }

  return {
    get running() {
      return workers().reduce((sum, { running }) => sum + running, 0)
    },
    get queues() {
      return wanted
    },
    get concurrency() {
      return main.concurrency
    },
    active: () => workers().flatMap((worker) => worker.active()),
    reserved: () => workers().flatMap((worker) => worker.reserved()),
    terminate: (id) => workers().some((worker) => worker.terminate(id)),
    setTimeLimits(task, limits) {
      timeLimits.set(task, limits)
      for (const worker of workers()) worker.setTimeLimits(task, limits)
    },
    setRateLimit: main.setRateLimit,
    reconfigure: ({ queues, concurrency }) =>
      changes.run(async () => {
        if (concurrency !== undefined) await main.reconfigure({ concurrency })
        if (queues === undefined) return
        const former = wanted
        wanted = queues
        try {
          await apply()
        } catch (error) {
          wanted = former
          throw error
        }
      }),
    stop() {
      stopping ??= stop()
      return stopping
    },
  }
}

const byName = (settings: readonly QueueSetting[]): ReadonlyMap<string, QueueSetting> =>
  new Map(settings.map((setting) => [setting.name, setting]))
