import type { Message } from '../../message/message.ts'
import { HAS_PERMIT, PARKED, RETRY_UNTIL } from '../../message/private-headers.ts'
import { retriesOf } from './context.ts'

/**
 * The message of the next attempt, as Celery sends it (reference/celery-protocol.md §5.3): the same, one retry more, its own parent, due
 * later. Marked as parked for its time: whoever gets it from the outbox runs it, also when its own clock is behind.
 * @param until no attempt is due later, in milliseconds since the epoch; kept, because only the first attempt knows when it began
 */
export function nextMessage(message: Message, dueAt: Date, until: number | undefined): Message {
  const { [HAS_PERMIT]: _placed, ...headers } = message.headers
  const eta = dueAt.toISOString()
  const again = {
    ...headers,
    retries: retriesOf(headers as Message['headers']) + 1,
    parent_id: message.headers.id,
    eta,
    [PARKED]: eta,
  }
  return { ...message, headers: (until === undefined ? again : { ...again, [RETRY_UNTIL]: until }) as Message['headers'] }
}
