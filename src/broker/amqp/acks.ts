import type { Channel, ConsumeMessage } from 'amqplib'
import type { Delivery } from '../broker.ts'

/** What one channel has delivered and nobody has settled yet. All methods do nothing once the channel is closed: the server has the messages back. */
export interface AmqpAcks {
  delivered(message: ConsumeMessage): void
  /** Acknowledges; messages that lie together in the order of delivery with one frame. */
  ack(messages: readonly ConsumeMessage[]): void
  /** Resolves when the server has seen everything that was acknowledged so far; false: the channel ended before it said so. */
  seen(): Promise<boolean>
  /** Refuses one message: handed out again, or put where its queue wants rejected ones. */
  reject(message: ConsumeMessage, options: { readonly requeue: boolean }): void
}

/** A message in the hands of a consumer. */
export interface Held extends Delivery {
  readonly tag: { readonly acks: AmqpAcks; readonly raw: ConsumeMessage }
  /** It came again, and its history is known. */
  readonly known?: true
}

/** HOT: a Map keeps the order of delivery, so "everything up to here" is a walk from its beginning. */
export function createAmqpAcks(channel: Channel): AmqpAcks {
  const open = new Map<number, ConsumeMessage>()
  let closed = false
  let asked: Promise<boolean> | undefined
  channel.on('close', () => {
    closed = true
    open.clear()
  })

  const upTo = (settled: Set<number>) => {
    let last: ConsumeMessage | undefined
    for (const [tag, message] of open) {
      if (!settled.has(tag)) break
      open.delete(tag)
      settled.delete(tag)
      last = message
    }
    if (last !== undefined) channel.ack(last, true)
  }

  return {
    delivered: (message) => void open.set(message.fields.deliveryTag, message),
    ack(messages) {
      if (closed) return
      const settled = new Set<number>()
      for (const { fields } of messages) if (open.has(fields.deliveryTag)) settled.add(fields.deliveryTag)
      upTo(settled)
      for (const tag of settled) {
        const message = open.get(tag)
        open.delete(tag)
        if (message !== undefined) channel.ack(message)
      }
    },
    // Acknowledgements are not answered, but a channel does one thing after the other; to cancel a consumer that there is not does nothing.
    async seen() {
      if (closed) return false
      asked ??= Promise.resolve().then(async () => {
        asked = undefined
        return channel.cancel('nobody').then(
          () => !closed,
          () => false,
        )
      })
      return asked
    },
    reject(message, { requeue }) {
      if (!closed && open.delete(message.fields.deliveryTag)) channel.reject(message, requeue)
    },
  }
}
