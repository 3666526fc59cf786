import type { Broker, ConsumeOptions, Consumer, Delivery } from '../broker/broker.ts'
import { byOwner } from '../broker/by-owner.ts'
import { createMutex } from '../concurrency/mutex.ts'
import { waitAtMost } from '../concurrency/with-timeout.ts'

/** The consumer of a worker. While tasks run, it can be replaced by a consumer with other queues or another concurrency. */
export interface ReplaceableConsumer extends Consumer {
  /** Replaces the consumer. If that fails, nothing changes. `outstanding` returns the messages that the worker has claimed. */
  replace(change: Partial<Pick<ConsumeOptions, 'queues' | 'concurrency'>>, outstanding: () => Iterable<Delivery>): Promise<void>
}

/**
 * Opens a consumer that can be replaced. Each delivery is settled by the consumer that it came from. A replaced consumer is
 * closed when the last of its deliveries is settled. Until the first replacement this costs one comparison per message.
 */
export async function createReplaceableConsumer(broker: Broker, options: ConsumeOptions): Promise<ReplaceableConsumer> {
  /** The deliveries of replaced consumers, with their consumer. */
  const former = new Map<Delivery, Consumer>()
  const replaced = new Set<Consumer>()
  const closing = new Map<Consumer, Promise<void>>()
  let wanted = options
  const replacements = createMutex()

  const open = async (): Promise<Consumer> => {
    if (wanted.queues.length === 0) return NO_QUEUES
    let opened: Consumer | undefined
    opened = await broker.consume({
      ...wanted,
      onDeliveries(deliveries) {
        if (opened !== undefined && replaced.has(opened)) for (const delivery of deliveries) former.set(delivery, opened)
        options.onDeliveries(deliveries)
      },
    })
    return opened
  }
  let current = await open()

  const ownerOf = (delivery: Delivery): Consumer => (former.size === 0 ? current : (former.get(delivery) ?? current))

  const settled = (delivery: Delivery) => {
    if (former.size === 0) return
    const owner = former.get(delivery)
    if (owner !== undefined && former.delete(delivery)) closeIfDone(owner)
  }

  const closeIfDone = (consumer: Consumer) => {
    if (!replaced.has(consumer) || consumer === current || closing.has(consumer)) return
    for (const owner of former.values()) if (owner === consumer) return
    const closed = consumer.close().finally(() => {
      closing.delete(consumer)
      replaced.delete(consumer)
    })
    closing.set(consumer, closed)
  }

  const replace = async (change: Partial<ConsumeOptions>, outstanding: () => Iterable<Delivery>) => {
    const [old, before] = [current, wanted]
    wanted = { ...wanted, ...change }
    replaced.add(old)
    for (const delivery of outstanding()) if (!former.has(delivery)) former.set(delivery, old)
    try {
      current = await open()
    } catch (error) {
      wanted = before
      replaced.delete(old)
      throw error
    }
    await old.stop()
    closeIfDone(old)
  }

  const all = () => [current, ...[...replaced].filter((consumer) => !closing.has(consumer))]
  return {
    ...byOwner({ ownerOf, settled }),
    async stop() {
      await replacements.idle()
      await Promise.all(all().map((consumer) => consumer.stop()))
    },
    async flush() {
      await Promise.all([...all().map((consumer) => consumer.flush()), ...closing.values()])
    },
    async close(withinMs) {
      const closed = all().map((consumer) => consumer.close(withinMs))
      // Replaced consumers normally close without a time limit. From now on they have the same time limit as the current one.
      await Promise.all([...closed, waitAtMost(Promise.all(closing.values()), withinMs)])
    },
    replace: (change, outstanding) => replacements.run(() => replace(change, outstanding)),
  }
}

/** The consumer of a worker that has no queues. It waits until the worker gets a queue. */
const NO_QUEUES: Consumer = {
  finish() {},
  acknowledge: async () => false,
  begin: async () => {},
  started() {},
  requeue() {},
  deadLetter() {},
  stop: async () => {},
  flush: async () => {},
  close: async () => {},
}
