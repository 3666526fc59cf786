import type { Database } from '../../database/database.ts'
import { takenInPart } from '../../database/not-taken.ts'
import { keepInOutbox } from '../../database/outbox.ts'
import { AppError } from '../../errors.ts'
import type { Message } from '../../message/message.ts'

/**
 * Keeps in the outbox what a broker outside of the database did not confirm. `sent`: it left this process, so the broker may have it.
 * @throws AppError BROKER_UNREACHABLE when nobody took them, MESSAGE_UNCONFIRMED when somebody may have, MESSAGE_REFUSED
 */
export async function keepUnsent(database: Database, messages: readonly Message[], sent: boolean): Promise<void> {
  const each = messages.map((message) => keepInOutbox(database, message, new Date()))
  try {
    await Promise.all(each)
  } catch (cause) {
    if (!sent || !(cause instanceof AppError) || cause.code !== 'BROKER_UNREACHABLE') throw await takenInPart(cause, each)
    throw new AppError('MESSAGE_UNCONFIRMED', `the broker did not confirm the message, and ${cause.message}`, { cause })
  }
}
