import type { Effects } from '../../app/effects.ts'
import type { Outcome } from '../../app/outcome.ts'
import type { Message } from '../../message/message.ts'

/** One item of a consumer's batch: the outcome to store before, or together with, the acknowledgement of a message. */
export interface Settlement {
  /** null: nothing to store, because the result is ignored or another message with this id was stored first. */
  readonly outcome: Outcome | null
  /** Kept until the message is acknowledged. undefined: the task has only started. */
  readonly message: Message | undefined
  /** What the commit of the outcome writes besides. undefined: most tasks have none. */
  readonly effects?: Effects | undefined
}
