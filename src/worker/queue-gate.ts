import { createOutcomeBacklog } from '../broker/outcomes/backlog.ts'
import { createMutex, type Mutex } from '../concurrency/mutex.ts'
import { retry } from '../concurrency/retry.ts'
import type { Database } from '../database/database.ts'
import type { QueueSetting, QueueSettings } from '../database/queue-settings.ts'
import { createSlots, type Slots } from '../database/slots.ts'
import { startWokenLoop, type WokenLoop } from '../database/woken-loop.ts'
import type { TimeLimits } from './attempt/effective-options.ts'
import { LimitedQueue } from './limited-queue.ts'
import { startWorker, type Worker, type WorkerOptions } from './worker.ts'

/**
 * Longest time between two reads of the settings. Changes arrive by NOTIFY, but some connections get no NOTIFY, such as those
 * through a pooler. Milliseconds.
 */
const MAX_SLEEP_MS = 5000

type Settings = ReadonlyMap<string, QueueSetting>

/** The state that the parts of a gated worker share. */
interface Gate {
  readonly options: WorkerOptions
  readonly database: Database
  /** The worker that takes from all queues without a setting. */
  readonly main: Worker
  readonly limited: Map<string, LimitedQueue>
  /** Time limits that were set while the worker runs. Workers that start later get them too. */
  readonly timeLimits: Map<string, TimeLimits>
  /** Makes changes run one after the other. */
  readonly changes: Mutex
  slots: Promise<Slots> | undefined
  wanted: readonly string[]
  settings: Settings
  stopping: Promise<void> | undefined
}

/**
 * Starts a worker that takes from a queue only as far as the queue is open. It does not take from a paused queue, and it takes
 * from a queue with a limit over all workers only while it has a slot of that queue. To its callers it is a single worker.
 * Settings are applied at once, and read again after a reconnection.
 */
export async function startGatedWorker(given: WorkerOptions, database: Database, stored: QueueSettings): Promise<Worker> {
  const { log, queues: wanted } = given
  const options = { ...given, backlog: given.backlog ?? createOutcomeBacklog(log) }
  const read = async (): Promise<Settings> => new Map((await stored.all()).map((setting) => [setting.name, setting]))
  const settings = await retry(read, { firstMs: 100, maxMs: 2000, isRetryable: () => true, giveUpAfterMs: 30_000 })
  const main = await startWorker({ ...options, queues: wanted.filter((queue) => !settings.has(queue)) })
  const changes = createMutex()
  const gate: Gate = {
    ...{ options, database, main, changes, wanted, settings },
    ...{ limited: new Map(), timeLimits: new Map(), slots: undefined, stopping: undefined },
  }

  const readAgain = async (): Promise<number> => {
    const former = gate.settings
    gate.settings = await read()
    logPauses(gate, former)
    await apply(gate)
    return MAX_SLEEP_MS
  }

  await changes.run(() => apply(gate))
  const watching = startWokenLoop(database, {
    log,
    channel: database.channel('queue_setting'),
    maxSleepMs: MAX_SLEEP_MS,
    words: {
      failed: 'queue settings cannot be applied, retrying',
      restored: 'queue settings are applied again',
    },
    pass: () => changes.run(readAgain),
  })
  return workerOf(gate, watching)
}

async function apply(gate: Gate): Promise<void> {
  const { main, wanted, settings } = gate
  if (gate.stopping !== undefined) return
  const queues = wanted.filter((queue) => !settings.has(queue))
  const isSame = queues.length === main.queues.length && queues.every((queue, index) => queue === main.queues[index])
  if (!isSame) await main.reconfigure({ queues })
  await applyLimits(gate)
}

async function applyLimits(gate: Gate): Promise<void> {
  const { limited, wanted, options, timeLimits } = gate
  const onStart = (worker: Worker) => {
    for (const [task, limits] of timeLimits) worker.setTimeLimits(task, limits)
  }
  for (const [queue, each] of limited) each.set(limitOf(gate, queue))
  for (const queue of wanted) {
    const limit = limitOf(gate, queue)
    if (limit === undefined || limited.has(queue)) continue
    gate.slots ??= createSlots(gate.database)
    const created = new LimitedQueue(queue, { ...options, onStart }, await gate.slots)
    limited.set(queue, created)
    created.set(limit)
  }
}

function limitOf({ settings, wanted }: Gate, queue: string): number | undefined {
  const setting = settings.get(queue)
  if (setting === undefined || setting.paused || !wanted.includes(queue)) return undefined
  return setting.concurrency ?? undefined
}

function logPauses({ wanted, settings, options }: Gate, former: Settings): void {
  for (const queue of wanted) {
    const paused = settings.get(queue)?.paused ?? false
    if ((former.get(queue)?.paused ?? false) !== paused)
      options.log.info({ queue }, paused ? 'queue is paused' : 'queue is resumed')
  }
}

/** Returns the interface of the gated worker for its callers. */
function workerOf(gate: Gate, watching: WokenLoop): Worker {
  const { main, limited, timeLimits, changes } = gate
  const workers = (): Worker[] => [main, ...[...limited.values()].flatMap(({ worker }) => worker ?? [])]
  const stop = async () => {
    await Promise.all([watching.stop(), main.stop(), ...[...limited.values()].map((each) => each.stop())])
    await (await gate.slots)?.close()
  }
  const change = async ({ queues, concurrency }: Parameters<Worker['reconfigure']>[0]) => {
    if (concurrency !== undefined) await main.reconfigure({ concurrency })
    if (queues === undefined) return
    const former = gate.wanted
    gate.wanted = queues
    try {
      await apply(gate)
    } catch (error) {
      gate.wanted = former
      throw error
    }
  }

  return {
    get running() {
      return workers().reduce((sum, { running }) => sum + running, 0)
    },
    get queues() {
      return gate.wanted
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
    reconfigure: (asked) => changes.run(() => change(asked)),
    stop() {
      gate.stopping ??= stop()
      return gate.stopping
    },
  }
}
