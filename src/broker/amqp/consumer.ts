import type { Database } from '../../database/database.ts'
import type { Log } from '../../log.ts'
import type { ConsumeOptions, Consumer } from '../broker.ts'
import { createBackground } from '../consumer/background.ts'
import { createConsumer } from '../consumer/consumer.ts'
import { createHeldTable } from '../consumer/held.ts'
import { createLifeCycle } from '../consumer/life-cycle.ts'
import { createPrefetch } from '../consumer/prefetch.ts'
import { createRecorder } from '../outcomes/recorder.ts'
import { replyAddress } from '../reply-address.ts'
import { openWorkerSession } from '../worker-session.ts'
import { createAmqpArrivals } from './arrivals.ts'
import { type AmqpSettlement, createAmqpConfirmations } from './confirm.ts'
import type { AmqpConnection } from './connection.ts'
import { createRedeliveries } from './deaths.ts'
import type { AmqpHeld } from './held.ts'
import { startAmqpIntake } from './intake.ts'
import { createAmqpProtocol } from './protocol.ts'
import { createAmqpRedelivery } from './redelivery.ts'
import { createAmqpRequeue } from './requeue.ts'
import type { AmqpSending } from './sending.ts'
import type { AmqpTopology } from './topology.ts'

export interface AmqpConsumerParts {
  readonly connection: AmqpConnection
  readonly topology: AmqpTopology
  readonly publisher: Pick<AmqpSending, 'reply'>
  readonly database: Database
  readonly log: Log
}

export interface AmqpConsumer extends Consumer {
  /** Returns how many messages of a queue this consumer holds. */
  holds(queue: string): number
}

/**
 * A worker's hold on its queues in RabbitMQ. Outcomes are stored in PostgreSQL in batches, and their messages are acknowledged
 * afterwards. If the channel or the connection breaks, the server delivers the messages again. A message whose task ended before
 * the redelivery is acknowledged without running again.
 */
export async function createAmqpConsumer(parts: AmqpConsumerParts, options: ConsumeOptions): Promise<AmqpConsumer> {
  const { connection, publisher, database, log } = parts
  const { concurrency, name, planner, backlog, mirror, inOrder, onDeliveries } = options
  const life = createLifeCycle('in-doubt')
  const prefetch = createPrefetch(concurrency)
  const held = createHeldTable<AmqpHeld>(prefetch)
  const background = createBackground((err) => log.error({ err }, 'unexpected failure'))
  const redeliveries = createRedeliveries(database)
  const confirmations = createAmqpConfirmations(publisher, await replyAddress(database))
  const recorder = createRecorder<AmqpSettlement>(database, {
    ...{ name, log, planner, backlog, mirror },
    onStored(batch, alsoStored) {
      confirmations.confirm(batch, alsoStored)
      intake.adjust()
    },
  })
  const worker = await openWorkerSession(database, { ...options, log, wake: () => {} })
  const redelivery = createAmqpRedelivery({
    ...{ database, log, redeliveries, worker, mirror, signal: life.closed, held, confirmations },
    flush: () => recorder.flush(),
    run: onDeliveries,
    settle: (delivery) => consumer.finish(delivery, null),
  })
  const onMessage = createAmqpArrivals({ held, prefetch, background, lookUp: redelivery.lookInto, inOrder, onDeliveries })

  const resume = () => {
    if (held.size < concurrency) intake.resume()
  }
  const pauseIfFull = async (queues: Iterable<string>) => {
    if (held.size >= concurrency && connection.blockedSince === undefined) for (const queue of queues) await intake.pause(queue)
  }
  const requeue = createAmqpRequeue({ redeliveries, background, log, pauseIfFull, resume })

  life.send('registered')
  const intake = startAmqpIntake({ ...parts, life, prefetch, onMessage, onChannelClosed: redelivery.lost }, options)
  const consumer = createConsumer(
    { held, life, log },
    createAmqpProtocol({ life, held, background, recorder, redeliveries, redelivery, requeue, intake, worker, resume }),
  )
  return {
    ...consumer,
    holds: (queue) => held.values().reduce((count, { message }) => (message.queue === queue ? count + 1 : count), 0),
  }
}
