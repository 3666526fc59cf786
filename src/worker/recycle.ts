import type { Log } from '../log.ts'

export interface RecyclingOptions {
  /** Tasks after which the worker makes room for a fresh one; 0: no limit. */
  readonly maxTasks: number
  /** Megabytes of the whole process (RSS) above which it does; 0: no limit. */
  readonly maxMemoryMb: number
  readonly log: Log
  /** Called once, when it is time; `idle` resolves when nothing runs any more. */
  readonly recycle: (idle: Promise<void>) => void
  /** Bytes that this process holds. */
  readonly rss?: () => number
}

export interface Recycling {
  /** HOT, as `ended`. A task begins. */
  begun(): void
  /** HOT when one of the limits is set. A task has ended, however it did. */
  ended(): void
}

/** Memory is looked at no more often, in milliseconds: to ask costs a system call. */
const LOOK_EVERY_MS = 1000
/** What a supervisor takes for healthy (supervisor/restart-policy.ts): who ends sooner is started again after longer and longer pauses. */
const HEALTHY_MS = 30_000
const MB = 1024 * 1024

/**
 * A worker whose tasks leak is started anew before it is too big, as with Celery's `worker_max_tasks_per_child` and
 * `worker_max_memory_per_child`. undefined when neither is limited.
 */
export function createRecycling(options: RecyclingOptions): Recycling | undefined {
  const { maxTasks, maxMemoryMb, log, rss = process.memoryUsage.rss } = options
  if (maxTasks === 0 && maxMemoryMb === 0) return undefined
  const startedAt = performance.now()
  const { promise: idle, resolve: beIdle } = Promise.withResolvers<void>()
  let tasks = 0
  let running = 0
  let lookedAt = 0
  let asked = false

  const end = (why: string, rssMb: number) => {
    asked = true
    const afterMs = Math.round(performance.now() - startedAt)
    log.info({ why, tasks, rssMb, afterMs }, 'worker makes room for a fresh one: finishes what runs, then ends')
    if (afterMs < HEALTHY_MS)
      log.warn({ afterMs }, 'recycled after less than 30 s: a supervisor waits longer before each such start, raise the limit')
    options.recycle(idle)
  }
  const rssMb = () => Math.round(rss() / MB)

  const look = () => {
    if (maxTasks > 0 && tasks >= maxTasks) return end(`${tasks} tasks`, rssMb())
    if (maxMemoryMb === 0) return
    const now = performance.now()
    if (lookedAt > 0 && now - lookedAt < LOOK_EVERY_MS) return
    lookedAt = now
    const held = rssMb()
    if (held > maxMemoryMb) end(`${held} MB of ${maxMemoryMb}`, held)
  }

  return {
    begun() {
      running += 1
    },
    ended() {
      tasks += 1
      running -= 1
      if (!asked) look()
      if (asked && running === 0) beIdle()
    },
  }
}
