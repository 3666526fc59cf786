import type { Channel, ConsumeMessage } from 'amqplib'

/**
 * The unacknowledged messages of one channel. After the channel is closed, all methods do nothing, because the server has
 * requeued the messages.
 */
export interface AmqpAcks {
  delivered(message: ConsumeMessage): void
  /**
   * Acknowledges messages. One frame acknowledges all messages up to the first that is still unacknowledged; every other message
   * costs its own frame.
   */
  ack(messages: readonly ConsumeMessage[]): void
  /**
   * Resolves to true when the server has processed all earlier acknowledgements, or to false if the channel closes before that.
   */
  processed(): Promise<boolean>
  /**
   * Rejects one message. With `requeue`, the message is delivered again; without it, the message goes to the dead letter
   * exchange of its queue, if the queue has one.
   */
  reject(message: ConsumeMessage, options: { readonly requeue: boolean }): void
}

/** HOT. The Map keeps the order of delivery, so the messages that one frame can acknowledge are its first entries. */
export function createAmqpAcks(channel: Channel): AmqpAcks {
  const open = new Map<number, ConsumeMessage>()
  let closed = false
  let pending: Promise<boolean> | undefined
  channel.on('close', () => {
    closed = true
    open.clear()
  })

  const ackFirst = (settled: Set<number>) => {
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
      ackFirst(settled)
      for (const tag of settled) {
        const message = open.get(tag)
        open.delete(tag)
        if (message !== undefined) channel.ack(message)
      }
    },
    // The server does not answer an acknowledgement. But it processes the requests of a channel in order and answers the
    // cancellation of an unknown consumer, so this answer confirms all acknowledgements before it.
    async processed() {
      if (closed) return false
      pending ??= Promise.resolve().then(async () => {
        pending = undefined
        return channel.cancel('none').then(
          () => !closed,
          () => false,
        )
      })
      return pending
    },
    reject(message, { requeue }) {
      if (!closed && open.delete(message.fields.deliveryTag)) channel.reject(message, requeue)
    },
  }
}
