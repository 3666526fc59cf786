import type { Message } from '../message/message.ts'
import type { TransactionClient } from './apply-options.ts'
import type { Due } from './calls/build.ts'
import type { Revoke } from './calls/revoke.ts'
import type { UniqueStore } from './calls/unique.ts'
import type { Plan } from './effects.ts'
import type { GroupBackend } from './results/stored-result.ts'

/** The connections of an application. A role passes them in; else they are opened from the environment at the first use. */
export interface Backend extends GroupBackend, UniqueStore {
  publish(messages: readonly Message[]): Promise<void>
  /** Writes messages to the outbox, all or none, in the caller's transaction if there is one. */
  keep(messages: readonly DueMessage[], transaction?: TransactionClient): Promise<void>
  /** Sends a workflow, all of it or nothing, in the caller's transaction if there is one. */
  send(plan: Plan, transaction?: TransactionClient): Promise<void>
  readonly revoke: Revoke
  close(): Promise<void>
}

/** A message, and when it is due; undefined: at once. */
export interface DueMessage {
  readonly message: Message
  readonly due: Due | undefined
}
