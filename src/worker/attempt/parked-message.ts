import type { Message } from '../../message/message.ts'
import { parseCeleryTime } from '../../message/message.ts'
import { HAS_PERMIT, PARKED, RETRY_UNTIL } from '../../message/private-headers.ts'
import { retriesOf } from './context.ts'

/**
 * Marks a message with its eta. The worker that gets the message from the outbox then runs it at once, even if its own clock is
 * behind.
 */
export function parked(message: Message, dueAt: Date): Message {
  const { eta } = message.headers
  const at = eta != null && parseCeleryTime(eta) === dueAt.getTime() ? eta : dueAt.toISOString()
  return { ...message, headers: { ...message.headers, eta: at, [PARKED]: at } }
}

/**
 * Returns the message of the next attempt, as Celery sends it (`Task.signature_from_request`, celery/app/task.py, Celery 5.6):
 * the same message with one more retry, with itself as its parent, and with a later eta. It is marked as parked, so that the
 * worker that gets it runs it at once, even if its clock is behind.
 * @param until the latest time at which an attempt may be due, in milliseconds since the epoch. The message carries it because
 * it counts from the first attempt
 */
export function nextMessage(message: Message, dueAt: Date, until: number | undefined): Message {
  const { [HAS_PERMIT]: _permit, ...headers } = message.headers
  const eta = dueAt.toISOString()
  const retries = retriesOf(headers as Message['headers']) + 1
  const changed = { ...headers, retries, parent_id: message.headers.id, eta, [PARKED]: eta }
  return { ...message, headers: (until === undefined ? changed : { ...changed, [RETRY_UNTIL]: until }) as Message['headers'] }
}
