import type { Message } from '../message/message.ts'
import type { TransactionClient } from './apply-options.ts'
import type { Due } from './calls/build.ts'
import type { Revoke } from './calls/revoke.ts'
import type { UniqueStore } from './calls/unique.ts'
import type { Plan } from './effects.ts'
import type { GroupBackend } from './results/stored-result.ts'

/** What an application needs from outside: given by the process that runs it, or made from the environment when first used. */
export interface Backend extends GroupBackend, UniqueStore {
  publish(messages: readonly Message[]): Promise<void>
  /** Keeps messages until they are due (undefined: at once), all or none, in the caller's transaction when there is one. */
  keep(messages: readonly Kept[], transaction?: TransactionClient): Promise<void>
  /** Sends a workflow, all of it or nothing; in the caller's transaction when there is one. */
  send(plan: Plan, transaction?: TransactionClient): Promise<void>
  readonly revoke: Revoke
  close(): Promise<void>
}

export interface Kept {
  readonly message: Message
  readonly due: Due | undefined
}
