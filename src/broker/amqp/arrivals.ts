import type { ConsumeMessage } from 'amqplib'
import { decodeCelery } from '../../message/wire.ts'
import type { ConsumeOptions } from '../broker.ts'
import type { Background } from '../consumer/background.ts'
import type { HeldTable } from '../consumer/held.ts'
import { createOrderedLookup } from '../consumer/ordered-lookup.ts'
import type { Prefetch } from '../consumer/prefetch.ts'
import type { AmqpAcks } from './acks.ts'
import type { AmqpHeld } from './held.ts'

export interface AmqpArrivalsParts extends Pick<ConsumeOptions, 'inOrder' | 'onDeliveries'> {
  readonly held: HeldTable<AmqpHeld>
  readonly prefetch: Pick<Prefetch, 'taken'>
  readonly background: Background
  /** Looks up the history of messages. Then runs each message, or acknowledges it without running if its outcome is stored. */
  readonly lookUp: (deliveries: readonly AmqpHeld[]) => Promise<void>
}

/** Passes messages from the channel to the worker. Redelivered messages wait until their history has been looked up. */
export function createAmqpArrivals({ held, prefetch, background, lookUp, inOrder = false, onDeliveries }: AmqpArrivalsParts) {
  const lookup = createOrderedLookup(lookUp)
  let arrived: AmqpHeld[] = []

  const handOut = () => {
    const all = arrived
    arrived = []
    const again = all.filter(({ tag, message }) => tag.raw.fields.redelivered && message.headers.id !== '')
    if (inOrder && (again.length > 0 || lookup.isBusy)) return background.run(lookup.add(all))
    const fresh = again.length === 0 ? all : all.filter((delivery) => !again.includes(delivery))
    if (fresh.length > 0) onDeliveries(fresh)
    if (again.length > 0) background.run(lookUp(again))
  }

  /** HOT. Messages that arrive in one read from the socket are passed to the worker together. */
  return (from: AmqpAcks, queue: string, raw: ConsumeMessage): void => {
    from.delivered(raw)
    const { headers = {}, contentType, contentEncoding, priority, correlationId, replyTo } = raw.properties
    const properties = {
      content_type: contentType,
      content_encoding: contentEncoding,
      priority,
      correlation_id: correlationId,
      reply_to: replyTo,
    }
    const { message, refused } = decodeCelery({ headers, properties, body: raw.content, queue })
    const delivery: AmqpHeld = { message, deliveries: 1, tag: { acks: from, raw }, refused, early: false }
    held.add(delivery)
    prefetch.taken(1)
    if (arrived.length === 0) queueMicrotask(handOut)
    arrived.push(delivery)
  }
}
