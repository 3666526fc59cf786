import type { Database } from '../../database/database.ts'
import { keepDeadLetters } from '../../database/dead-letters.ts'
import type { Log } from '../../log.ts'
import type { Message } from '../../message/message.ts'
import type { Untaken } from '../outbox/publish.ts'
import type { AmqpOutgoing } from './outgoing.ts'
import { createRefusedQueues } from './refused-queues.ts'

export interface AmqpRelayParts {
  readonly database: Database
  readonly log: Log
  readonly send: AmqpOutgoing['send']
}

/** @returns a function that publishes messages of the outbox. A refused queue does not delay the messages of other queues. */
export function createAmqpRelay({ database, log, send }: AmqpRelayParts) {
  const refusedQueues = createRefusedQueues(log)

  /** Keeps a message that can never be sent as a dead letter, so that it does not block the messages behind it. */
  const keepUnsendable = async (message: Message, reason: Error) => {
    const { id, task } = message.headers
    log.error({ id, task, queue: message.queue, reason: reason.message }, 'message cannot be sent, stored in dead_letter')
    await keepDeadLetters(database, [{ message, reason: `RabbitMQ cannot carry it: ${reason.message}` }])
  }

  return async (due: readonly Message[]): Promise<readonly Untaken[]> => {
    const open = new Set(due.filter(({ queue }) => refusedQueues.waitMs(queue) === 0))
    const unconfirmed = open.size === 0 ? [] : await send([...open], { patient: true, putOff: true })
    for (const { message, refused } of unconfirmed) if (refused !== undefined) await keepUnsendable(message, refused)
    const unconfirmedIds = new Set(unconfirmed.map(({ message }) => message.headers.id))
    for (const { queue, headers } of open) if (!unconfirmedIds.has(headers.id)) refusedQueues.taken(queue)
    const reasons = new Map(unconfirmed.flatMap(({ message, putOff }) => (putOff === undefined ? [] : [[message.queue, putOff]])))
    for (const [queue, reason] of reasons) refusedQueues.refused(queue, reason)
    const later = (message: Message): Untaken => ({ message, putOffMs: refusedQueues.waitMs(message.queue) })
    return [
      ...due.filter((message) => !open.has(message)).map(later),
      ...unconfirmed
        .filter(({ refused }) => refused === undefined)
        .map(({ message, putOff }) => (putOff === undefined ? { message } : later(message))),
    ]
  }
}
