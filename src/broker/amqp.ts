import type { BrokerChoice, Config } from '../config.ts'
import type { Database } from '../database/database.ts'
import { keepInOutbox } from '../database/outbox.ts'
import { AppError } from '../errors.ts'
import type { Log } from '../log.ts'
import type { Message } from '../message/message.ts'
import { type AmqpConnection, openAmqpConnection } from './amqp-connection.ts'
import { type AmqpConsumer, createAmqpConsumer } from './amqp-consumer.ts'
import { createAmqpPublisher } from './amqp-publisher.ts'
import { createAmqpTopology } from './amqp-topology.ts'
import type { Broker } from './broker.ts'
import { publishDue } from './outbox-publish.ts'

export interface AmqpBroker extends Broker {
  readonly kind: 'amqp'
  /** The one connection of this process. */
  connection(): Promise<AmqpConnection>
}

type AmqpChoice = Extract<BrokerChoice, { kind: 'amqp' }>

/**
 * Messages in RabbitMQ, as Celery has them there. One connection, opened at once so that the log says early what is wrong; two only where the provider has a URL for each
 * direction. While RabbitMQ is away or takes nothing, `publish` keeps messages in the outbox, from where they follow.
 */
export function createAmqpBroker(
  database: Database,
  config: Pick<Config, 'publishTimeoutMs' | 'queueType' | 'queueMaxPriority'> & { readonly broker: AmqpChoice },
  options: { readonly name: string; readonly log: Log },
): AmqpBroker {
  const { log } = options
  const { publishUrl, consumeUrl } = config.broker
  const consumers = new Set<AmqpConsumer>()
  const connections: Promise<AmqpConnection>[] = []
  let kept = false

  const connect = (url: string) =>
    once(() => {
      const opening = openAmqpConnection(url, options)
      connections.push(opening)
      return opening
    })
  const publishing = connect(publishUrl)
  const consuming = consumeUrl === publishUrl ? publishing : connect(consumeUrl)

  const publisher = once(async () => {
    const connection = await publishing()
    return { connection, ...createAmqpPublisher(connection, createAmqpTopology(connection, config, log), log) }
  })
  const consumingTopology = once(async () => createAmqpTopology(await consuming(), config, log))

  const control = once(async () => {
    const { createAmqpControl } = await import('./amqp-control.ts')
    return createAmqpControl(await consuming(), log)
  })

  /** Whoever has waited once through an outage need not wait again for its end. */
  const send = async (messages: readonly Message[]): Promise<Message[]> => {
    const { connection, send } = await publisher()
    const { awaySince } = connection
    const known = awaySince !== undefined && performance.now() - awaySince > config.publishTimeoutMs
    return send(messages, known ? 0 : config.publishTimeoutMs)
  }

  void publishing()

  return {
    kind: 'amqp',
    connection: consuming,
    async publish(messages) {
      const left = await send(messages)
      if (left.length > 0) {
        await Promise.all(left.map((message) => keepInOutbox(database, message, new Date())))
        if (!kept) log.warn({ messages: left.length }, 'RabbitMQ did not confirm in time, kept in the outbox until it does')
      }
      kept = left.length > 0
    },
    async consume(wanted) {
      const connection = await consuming()
      const parts = { connection, topology: await consumingTopology(), publisher: await publisher(), database, log }
      const consumer = await createAmqpConsumer(parts, wanted)
      consumers.add(consumer)
      return consumer
    },
    async relayDue(limit) {
      const { left, ...moved } = await publishDue(database, limit, send)
      if (left > 0) throw new AppError('BROKER_UNREACHABLE', `RabbitMQ did not confirm ${left} messages of the outbox`)
      return moved
    },
    async depths(queues) {
      const topology = await consumingTopology()
      const held = (queue: string) => [...consumers].reduce((sum, consumer) => sum + consumer.holds(queue), 0)
      return Promise.all(queues.map(async (queue) => ({ queue, ready: await topology.ready(queue), running: held(queue) })))
    },
    purge: async (queue) => (await consumingTopology()).purge(queue),
    control,
    async close() {
      for (const connection of connections) await (await connection).close()
    },
  }
}

function once<T>(make: () => Promise<T>): () => Promise<T> {
  let made: Promise<T> | undefined
  return () => {
    made ??= make()
    return made
  }
}
