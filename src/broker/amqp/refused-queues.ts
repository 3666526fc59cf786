import { pauseMs } from '../../concurrency/retry.ts'
import type { Log } from '../../log.ts'

/** The first pause is short, because a full queue may have room again in a moment; who mends a right or a name waits a minute at most. */
const AGAIN = { firstMs: 500, maxMs: 60_000 }
/** A queue that is full now and then is not said each time. */
const SAY_AGAIN_MS = 60_000

/** Queues for which a broker takes no messages, while it takes those of others: they are tried ever more rarely. */
export interface RefusedQueues {
  /** Milliseconds until the queue is to be tried again; 0: now. */
  waitMs(queue: string): number
  refused(queue: string, reason: string): void
  taken(queue: string): void
}

interface Refused {
  /** Since it took a message. */
  attempts: number
  againAt: number
  lastAt: number
}

export function createRefusedQueues(log: Log, now: () => number = () => performance.now()): RefusedQueues {
  const queues = new Map<string, Refused>()

  return {
    waitMs: (queue) => Math.max(0, (queues.get(queue)?.againAt ?? 0) - now()),
    refused(queue, reason) {
      const { attempts, lastAt } = queues.get(queue) ?? { attempts: 0, lastAt: Number.NEGATIVE_INFINITY }
      if (attempts === 0 && now() - lastAt > SAY_AGAIN_MS)
        log.warn({ queue, reason }, 'no messages are taken for a queue, what the outbox has for it is put off')
      queues.set(queue, { attempts: attempts + 1, againAt: now() + pauseMs(attempts, AGAIN), lastAt: now() })
    },
    taken(queue) {
      const known = queues.get(queue)
      if (known === undefined) return
      if (now() - known.lastAt > SAY_AGAIN_MS) queues.delete(queue)
      else Object.assign(known, { attempts: 0, againAt: 0 })
    },
  }
}
