import { pauseMs } from '../../concurrency/retry.ts'
import type { Log } from '../../log.ts'

/**
 * Pauses before a refused queue is tried again. The first pause is short, because a full queue may soon have room. The longest
 * pause limits how long the messages wait after a wrong permission or name was repaired.
 */
const BACKOFF = { firstMs: 500, maxMs: 60_000 }
/** A queue that is often full is logged at most once in this time. Milliseconds. */
const LOG_AGAIN_MS = 60_000

/**
 * Queues for which RabbitMQ refuses messages while it takes messages for other queues. Each queue is tried again after a growing
 * pause.
 */
export interface RefusedQueues {
  /** Returns the milliseconds until the next attempt for this queue. 0: try at once. */
  waitMs(queue: string): number
  refused(queue: string, reason: string): void
  taken(queue: string): void
}

interface Refused {
  /** The number of refusals in a row. */
  attempts: number
  retryAt: number
  refusedAt: number
}

export function createRefusedQueues(log: Log, now: () => number = () => performance.now()): RefusedQueues {
  const queues = new Map<string, Refused>()

  return {
    waitMs: (queue) => Math.max(0, (queues.get(queue)?.retryAt ?? 0) - now()),
    refused(queue, reason) {
      const { attempts, refusedAt } = queues.get(queue) ?? { attempts: 0, refusedAt: Number.NEGATIVE_INFINITY }
      if (attempts === 0 && now() - refusedAt > LOG_AGAIN_MS)
        log.warn({ queue, reason }, 'queue takes no messages, its messages in the outbox are put off')
      queues.set(queue, { attempts: attempts + 1, retryAt: now() + pauseMs(attempts, BACKOFF), refusedAt: now() })
    },
    taken(queue) {
      const known = queues.get(queue)
      if (known === undefined) return
      if (now() - known.refusedAt > LOG_AGAIN_MS) queues.delete(queue)
      else Object.assign(known, { attempts: 0, retryAt: 0 })
    },
  }
}
