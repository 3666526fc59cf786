import type { ConsumeMessage } from 'amqplib'
import type { HeldDelivery } from '../consumer/held.ts'
import type { AmqpAcks } from './acks.ts'

/** A message that a consumer holds. */
export interface AmqpHeld extends HeldDelivery {
  readonly tag: { readonly acks: AmqpAcks; readonly raw: ConsumeMessage }
  /** True: the message was redelivered, and its history has been looked up. */
  readonly known?: true
}
