import type { Database } from '../../database/database.ts'
import { keepInOutbox } from '../../database/outbox.ts'
import { partialPublishError } from '../../database/publish-error.ts'
import { AppError } from '../../errors.ts'
import type { Message } from '../../message/message.ts'

/**
 * Keeps messages in the outbox that a broker outside the database did not confirm. `sent`: the messages left this process, so
 * the broker may have them.
 * @throws AppError BROKER_UNREACHABLE: no message was accepted; MESSAGE_UNCONFIRMED: some messages may have been accepted;
 * MESSAGE_REFUSED
 */
export async function keepUnsent(database: Database, messages: readonly Message[], sent: boolean): Promise<void> {
  const each = messages.map((message) => keepInOutbox(database, message, new Date()))
  try {
    await Promise.all(each)
  } catch (cause) {
    if (!sent || !(cause instanceof AppError) || cause.code !== 'BROKER_UNREACHABLE') throw await partialPublishError(cause, each)
    throw new AppError('MESSAGE_UNCONFIRMED', `the broker did not confirm the message, and ${cause.message}`, { cause })
  }
}
