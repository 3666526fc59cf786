import type { Redis } from 'ioredis'
import { pauseMs } from '../../concurrency/retry.ts'
import { AppError } from '../../errors.ts'
import type { Log } from '../../log.ts'
import { BACKOFF, type RedisTarget } from './client-options.ts'

/** Decides whether the server of a connection can be used now: it must be connected and the primary, and not a cluster. */
export interface Usability {
  readonly usable: boolean
  /** The reason why this server is never used. undefined: it was not refused. */
  readonly refused: AppError | undefined
  /** Returns the milliseconds before the next attempt to connect. Only a usable server resets the back-off. */
  pause(): number
  /** Checks a client that has just connected. @returns true if it can be used */
  check(client: Redis): Promise<boolean>
  lose(reason: string): void
  /**
   * Reports that the server refused the database of the URL. ioredis then stays in database 0, where other applications may have
   * keys.
   */
  selectFailed(error: Error): void
  /**
   * Resolves when the server is usable.
   * @throws AppError BROKER_UNREACHABLE after `withinMs` milliseconds or when `isEnded()` returns true; REDIS_UNSUITABLE
   */
  wait(withinMs: number | undefined, isEnded: () => boolean): Promise<void>
  /** Makes waiting calls check `isEnded()` again. */
  changed(): void
}

export interface UsabilityParts {
  readonly target: RedisTarget
  readonly fields: { readonly redis: string; readonly purpose: string }
  readonly log: Log
}

/** Targets whose server has been usable. All connections of a process to one server share one target. */
const used = new WeakSet<RedisTarget>()

/**
 * If the first server of a process is unsuitable, it is refused. A server that becomes unsuitable later counts as away, such as
 * a former primary after a failover.
 */
export function createUsability({ target, fields, log }: UsabilityParts): Usability {
  const waiting = new Set<() => void>()
  let usable = false
  let refused: AppError | undefined
  let selectProblem: string | undefined
  let attempts = 0
  let lost = false
  let unsuited = false

  const changed = () => {
    for (const look of [...waiting]) look()
  }
  const lose = (reason: string) => {
    usable = false
    if (lost || refused !== undefined) return
    lost = true
    log.warn({ ...fields, reason }, 'Redis connection away, connecting again until it is back')
  }
  const refuse = (client: Redis, problem: string) => {
    if (used.has(target)) {
      if (!unsuited) log.warn({ ...fields, reason: problem }, 'Redis cannot be used now, connecting again until it can')
      unsuited = true
      lost = true
      client.disconnect(true)
      return
    }
    refused = new AppError('REDIS_UNSUITABLE', `${fields.redis} ${problem}`)
    client.disconnect()
    changed()
    target.onRefused?.(refused)
  }
  const accept = () => {
    used.add(target)
    attempts = 0
    usable = true
    if (lost) log.info(fields, 'Redis connection is back')
    lost = false
    unsuited = false
    changed()
  }

  return {
    get usable() {
      return usable
    },
    get refused() {
      return refused
    },
    pause: () => pauseMs(attempts++, BACKOFF),
    async check(client) {
      const problem = selectProblem ?? (await unsuitable(client))
      selectProblem = undefined
      if (client.status !== 'ready') return false
      if (problem === undefined) accept()
      else refuse(client, problem)
      return problem === undefined
    },
    lose,
    selectFailed({ message }) {
      if (/DB index is out of range|SELECT is not allowed|invalid DB index/i.test(message))
        selectProblem = `refuses its database: ${message}`
    },
    wait: (withinMs, isEnded) =>
      untilSettled(waiting, withinMs, (isLate) => {
        if (usable) return true
        if (refused === undefined && !isEnded() && !isLate) return false
        throw refused ?? new AppError('BROKER_UNREACHABLE', `${fields.redis} ${isLate ? 'does not answer' : 'was closed'}`)
      }),
    changed,
  }
}

/**
 * Calls `look` now, at each change, and once after `withinMs` milliseconds (undefined: never). Resolves when `look` returns
 * true and rejects when it throws.
 */
function untilSettled(changes: Set<() => void>, withinMs: number | undefined, look: (isLate: boolean) => boolean): Promise<void> {
  return new Promise((resolve, reject) => {
    const end = (settle: () => void) => {
      clearTimeout(timer)
      changes.delete(onChange)
      settle()
    }
    const check = (isLate: boolean) => {
      try {
        if (look(isLate)) end(resolve)
      } catch (error) {
        end(() => reject(error))
      }
    }
    const onChange = () => check(false)
    const timer = withinMs === undefined ? undefined : setTimeout(check, withinMs, true)
    changes.add(onChange)
    check(false)
  })
}

/** Returns the reason why this server cannot carry messages. undefined: it can, or it does not report what it is. */
async function unsuitable(client: Redis): Promise<string | undefined> {
  const info = await client.info().catch(() => '')
  const field = (name: string) => new RegExp(`^${name}:(\\S+)`, 'm').exec(info)?.[1]
  const mode = field('redis_mode')
  if (mode === 'sentinel') return 'is a Sentinel, not the Redis that it watches: write sentinel:// instead of redis://'
  if (mode === 'cluster') return 'is a node of Redis Cluster, whose keys are on several servers'
  if (field('role') === 'slave') return `is a read-only replica of ${field('master_host') ?? 'another server'}`
  return undefined
}
