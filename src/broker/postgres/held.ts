import type { Delivery } from '../broker.ts'
import type { HeldDelivery } from '../consumer/held.ts'

export interface PostgresHeld extends HeldDelivery {
  readonly tag: string
  /** It runs with a death on its record. */
  begun: boolean
  /** A death of this worker, which lives, was counted against the message. */
  blamed: boolean
}

/** A message is claimed again under the same tag after it was made ready, so the tag identifies it. */
export const tagOf = ({ tag }: Delivery): string => tag as string
