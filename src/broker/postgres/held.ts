import type { Delivery } from '../broker.ts'
import type { HeldDelivery } from '../consumer/held.ts'

export interface PostgresHeld extends HeldDelivery {
  readonly tag: string
  /** The task runs although a worker died with the message before. */
  begun: boolean
  /** A death was counted against the message because this worker was wrongly declared dead. */
  blamed: boolean
}

/** The server may claim a message for this worker a second time, under the same tag. */
export const tagOf = ({ tag }: Delivery): string => tag as string
