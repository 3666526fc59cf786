import type { Message } from '../message/message.ts'
import type { TransactionClient } from './apply-options.ts'
import type { Due } from './calls/build.ts'
import type { Revoke } from './calls/revoke.ts'
import type { UniqueStore } from './calls/unique.ts'
import type { Plan } from './effects.ts'
import type { GroupBackend } from './results/stored-result.ts'

/**
 * The connections of an application. A process passes them with `app.connect()`; otherwise they are opened from the environment
 * when they are first used.
 */
export interface Backend extends GroupBackend, UniqueStore {
  publish(messages: readonly Message[]): Promise<void>
  /** Writes either all messages to the outbox or none, in the caller's transaction if there is one. */
  keep(messages: readonly DueMessage[], transaction?: TransactionClient): Promise<void>
  /** Sends either the whole workflow or nothing, in the caller's transaction if there is one. */
  send(plan: Plan, transaction?: TransactionClient): Promise<void>
  readonly revoke: Revoke
  close(): Promise<void>
}

/** A message and the time when it is due. An undefined time means at once. */
export interface DueMessage {
  readonly message: Message
  readonly due: Due | undefined
}
