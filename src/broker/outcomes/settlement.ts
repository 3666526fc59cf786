import type { Effects } from '../../app/effects.ts'
import type { Outcome } from '../../app/outcome.ts'
import type { Message } from '../../message/message.ts'

/** One item of a consumer's batch: the outcome to store before, or together with, the acknowledgement of a message. */
export interface Settlement {
  /**
   * null: there is nothing to store, because the result is ignored or the outcome of another message with this id was stored
   * first.
   */
  readonly outcome: Outcome | null
  /** The message that the outcome belongs to. undefined for STARTED. */
  readonly message: Message | undefined
  /** Further writes in the commit of the outcome. undefined for most tasks. */
  readonly effects?: Effects | undefined
}
