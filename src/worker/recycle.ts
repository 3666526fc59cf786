import type { Log } from '../log.ts'

export interface RecyclingOptions {
  /** Number of tasks after which the worker is recycled. 0: no limit. */
  readonly maxTasks: number
  /** Memory of the whole process (RSS), in megabytes, above which the worker is recycled. 0: no limit. */
  readonly maxMemoryMb: number
  readonly log: Log
  /** Called once, when a limit is reached. `idle` resolves when no task runs any more. */
  readonly recycle: (idle: Promise<void>) => void
  /** Returns the memory of this process in bytes. */
  readonly rss?: () => number
}

export interface Recycling {
  /** A task starts. HOT if one of the limits is set. */
  begun(): void
  /** A task has ended, in any way. HOT if one of the limits is set. */
  ended(): void
}

/** Shortest time between two measurements of memory, because each costs a system call. Milliseconds. */
const LOOK_EVERY_MS = 1000
/**
 * If a process ends sooner than this, the supervisor restarts it after longer and longer pauses (supervisor/restart-policy.ts).
 * Milliseconds.
 */
const HEALTHY_MS = 30_000
const MB = 1024 * 1024

/**
 * Creates the part that recycles a worker before memory leaks of its tasks make it too large, as Celery's
 * `worker_max_tasks_per_child` and `worker_max_memory_per_child` do. Returns undefined if neither tasks nor memory are limited.
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
    log.info({ why, tasks, rssMb, afterMs }, 'worker reached its recycling limit: it finishes its tasks and exits')
    if (afterMs < HEALTHY_MS)
      log.warn(
        { afterMs },
        'worker recycled after less than 30 s, and the supervisor delays such restarts: raise the recycling limit',
      )
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
