import { parseRate, type RateLimit, rateLimitOf } from '../../app/calls/rate.ts'
import type { Task } from '../../app/task.ts'
import { createPump } from '../../concurrency/pump.ts'
import type { PermitRequest, RateLimits } from '../../database/rate-limits.ts'
import type { Log } from '../../log.ts'
import type { Message } from '../../message/message.ts'
import { parseCeleryTime } from '../../message/message.ts'
import { HAS_PERMIT } from '../../message/private-headers.ts'
import type { Limiter, Permit } from './ports.ts'

/** Rate limits that can be changed while the worker runs. */
export interface RateLimiter extends Limiter {
  /** Returns the current limit as a text for people; undefined if the task has no limit. */
  describe(task: Task): string | undefined
}

export interface RateLimiterOptions {
  readonly log: Log
  /** Stores limits that hold for all workers together. undefined: each worker limits only itself. */
  readonly limits?: RateLimits | undefined
  /** Returns the current time in milliseconds since the epoch. */
  readonly now?: () => number
}

/**
 * Returns the time of the next permit by the generic cell rate algorithm (ITU-T I.371) without a burst, which equals Celery's
 * token bucket of capacity 1. The state of a limit is one number: the time of its next permit. A permit is reserved for its
 * message, so that the message need not ask again.
 */
export function nextPermit(
  nextAtMs: number,
  nowMs: number,
  intervalMs: number,
): { readonly atMs: number; readonly nextAtMs: number } {
  const atMs = Math.max(nextAtMs, nowMs)
  return { atMs, nextAtMs: atMs + intervalMs }
}

export function createRateLimiter({ log, limits, now = Date.now }: RateLimiterOptions): RateLimiter {
  /** The limits from the options of the tasks. Each is parsed once. */
  const own = new Map<string, RateLimit | undefined>()
  /** Limits that were changed while the worker runs. An undefined value means that the limit was removed. */
  const changed = new Map<string, RateLimit | undefined>()
  const nextAt = new Map<string, number>()
  const shared = limits === undefined ? undefined : createShared(limits, { log, now })

  const ownLimit = ({ name, options }: Task): RateLimit | undefined => {
    if (!own.has(name)) own.set(name, rateLimitOf(options.rateLimit))
    return own.get(name)
  }
  const limitOf = (task: Task) => (changed.has(task.name) ? changed.get(task.name) : ownLimit(task))

  return {
    // HOT: called once per task. For a task without a limit it costs one comparison.
    admit(message, task) {
      if (task.options.rateLimit === undefined && changed.size === 0) return undefined
      const limit = limitOf(task)
      if (limit === undefined) return undefined
      const permitted = hasPermit(message)
      const expiresMs = expiryOf(message)
      if (limit.scope === 'app' && shared !== undefined)
        return permitted ? undefined : shared.take(task.name, limit.intervalMs, expiresMs)
      const nowMs = now()
      const permit = nextPermit(nextAt.get(task.name) ?? 0, nowMs, limit.intervalMs)
      if (permitted) {
        // Another worker may have given the permit and ended since then. The next permit of this worker must come after that
        // permit.
        nextAt.set(task.name, Math.max(nextAt.get(task.name) ?? 0, nowMs + limit.intervalMs))
        return undefined
      }
      if (permit.atMs >= expiresMs) return 'expired'
      nextAt.set(task.name, permit.nextAtMs)
      return permit.atMs <= nowMs ? undefined : new Date(permit.atMs)
    },
    set(task, limit) {
      const intervalMs = parseRate(limit)
      const scope = ownLimit(task)?.scope ?? 'worker'
      changed.set(task.name, intervalMs === undefined ? undefined : { intervalMs, scope })
      nextAt.delete(task.name)
    },
    describe(task) {
      const limit = limitOf(task)
      return limit === undefined
        ? undefined
        : `${describeRate(limit.intervalMs)}${limit.scope === 'app' ? ' over all workers' : ''}`
    },
  }
}

/** Marks a message with its permit, so that it is not limited again until it is retried. */
export const withPermit = (message: Message): Message => ({
  ...message,
  headers: { ...message.headers, [HAS_PERMIT]: message.headers.retries ?? 0 },
})

const hasPermit = ({ headers }: Message): boolean => headers[HAS_PERMIT] === (headers.retries ?? 0)

/** Returns the time when a message expires, in milliseconds since the epoch. */
const expiryOf = ({ headers: { expires } }: Message): number =>
  typeof expires === 'string' ? parseCeleryTime(expires) : Number.POSITIVE_INFINITY

/** Returns a rate as a text such as `10/m`, in the unit that gives the most readable number. */
export function describeRate(intervalMs: number): string {
  const perSecond = 1000 / intervalMs
  const [count, unit] = perSecond >= 1 ? [perSecond, 's'] : perSecond * 60 >= 1 ? [perSecond * 60, 'm'] : [perSecond * 3600, 'h']
  return `${Number((count as number).toPrecision(6))}/${unit}`
}

interface Asking {
  readonly intervalMs: number
  readonly waiting: ((dueAt: Date | undefined) => void)[]
}

/**
 * Limits tasks over all workers. Requests that are made in one turn of the event loop, or while a statement runs, share one
 * statement.
 */
function createShared(limits: RateLimits, { log, now }: { readonly log: Log; readonly now: () => number }) {
  let asking = new Map<string, Asking>()
  /**
   * The time before which no permit is free, by the clock of this process. A message that expires before this time need not ask.
   */
  const taken = new Map<string, number>()

  const askNext = async () => {
    const batch = [...asking]
    asking = new Map()
    try {
      give(
        batch,
        await limits.take(
          batch.map(([key, { intervalMs, waiting }]): PermitRequest => ({ key, intervalMs, permits: waiting.length })),
        ),
      )
    } catch (err) {
      // It is better to exceed the limit than not to run the tasks at all.
      log.error({ err, limits: batch.map(([key]) => key) }, 'rate limits are unavailable, tasks run without them')
      for (const [, { waiting }] of batch) for (const resolve of waiting) resolve(undefined)
    }
  }
  const pump = createPump({ hasWork: () => asking.size > 0, turn: askNext })

  const give = (batch: readonly (readonly [string, Asking])[], waitMs: readonly number[]) => {
    const nowMs = now()
    for (const [index, [key, { intervalMs, waiting }]] of batch.entries()) {
      let wait = waitMs[index]!
      for (const resolve of waiting) {
        resolve(wait <= 0 ? undefined : new Date(nowMs + wait))
        wait += intervalMs
      }
      taken.set(key, nowMs + wait)
    }
  }

  const ask = (key: string, intervalMs: number): Promise<Date | undefined> =>
    new Promise((resolve) => {
      const asked = asking.get(key)
      if (asked !== undefined) asked.waiting.push(resolve)
      else asking.set(key, { intervalMs, waiting: [resolve] })
      pump.wake()
    })

  return {
    async take(task: string, intervalMs: number, expiresMs: number): Promise<Permit> {
      // The key contains the rate, so that permits under a former limit do not count for the new one.
      const key = `${task} ${describeRate(intervalMs)}`
      const before = asking.get(key)?.waiting.length ?? 0
      if (Math.max(taken.get(key) ?? 0, now()) + before * intervalMs >= expiresMs) return 'expired'
      const permit = await ask(key, intervalMs)
      // Other workers took the earlier permits, and the message expires before this permit, which is lost. From now on `taken`
      // refuses such messages without a query.
      return permit !== undefined && permit.getTime() >= expiresMs ? 'expired' : permit
    },
  }
}
