import type { Log } from '../../log.ts'
import type { Background } from '../consumer/background.ts'
import type { Redeliveries } from './deaths.ts'
import type { AmqpHeld } from './held.ts'

export interface AmqpRequeueParts {
  readonly redeliveries: Pick<Redeliveries, 'noteRequeue'>
  readonly background: Background
  readonly log: Log
  /** Pauses these queues if the worker has no free slot: it would only receive the same messages again. */
  readonly pauseIfFull: (queues: ReadonlySet<string>) => Promise<void>
  readonly resume: () => void
}

export interface AmqpRequeue {
  /** The number of messages that wait to be requeued. */
  readonly size: number
  add(delivery: AmqpHeld, counted: boolean): void
}

/** Creates the queue of messages to requeue. Messages of one turn of the event loop are requeued together. */
export function createAmqpRequeue({ redeliveries, background, log, pauseIfFull, resume }: AmqpRequeueParts): AmqpRequeue {
  let waiting: { readonly delivery: AmqpHeld; readonly counted: boolean }[] = []

  /** Notes the requeue in the database before it requeues, so that the redelivery does not count as a death. */
  const requeue = async () => {
    const batch = waiting
    waiting = []
    await pauseIfFull(new Set(batch.map(({ delivery }) => delivery.message.queue)))
    const noted = batch.map(({ delivery, counted }) => ({ id: delivery.message.headers.id, counted }))
    await redeliveries
      .noteRequeue(noted)
      .catch((error: Error) => log.debug({ reason: error.message }, 'could not note a requeue'))
    for (const { delivery } of batch) delivery.tag.acks.reject(delivery.tag.raw, { requeue: true })
    resume()
  }

  return {
    get size() {
      return waiting.length
    },
    add(delivery, counted) {
      if (waiting.length === 0) setImmediate(() => background.run(requeue()))
      waiting.push({ delivery, counted })
    },
  }
}
