import type { BrokerChoice, Config } from '../../config.ts'
import type { Database } from '../../database/database.ts'
import { AppError } from '../../errors.ts'
import type { Log } from '../../log.ts'
import type { BeforeSending, Broker, ConsumeOptions } from '../broker.ts'
import type { QueueBinding } from '../control-transport.ts'
import { keepUnsent } from '../outbox/keep-unsent.ts'
import { publishDue } from '../outbox/publish.ts'
import { createAmqpCollect } from './collect.ts'
import { type AmqpConnection, openAmqpConnection } from './connection.ts'
import { type AmqpConsumer, createAmqpConsumer } from './consumer.ts'
import { createAmqpOutgoing } from './outgoing.ts'
import { createAmqpRelay } from './relay.ts'
import { createSecondConnectionConsumer } from './second-connection.ts'
import type { Unconfirmed } from './sending.ts'
import { createAmqpTopology } from './topology.ts'

export interface AmqpBroker extends Broker {
  readonly kind: 'amqp'
  /** Returns the connection on which this process consumes. */
  connection(): Promise<AmqpConnection>
}

export interface AmqpBrokerConfig
  extends Pick<Config, 'publishTimeoutMs' | 'queueType' | 'queueMaxPriority'>,
    Partial<Pick<Config, 'resultCollect'>> {
  readonly broker: Extract<BrokerChoice, { kind: 'amqp' }>
}

export interface AmqpBrokerOptions {
  readonly name: string
  readonly log: Log
  readonly beforeSending?: BeforeSending | undefined
}

/**
 * Messages in RabbitMQ, in Celery's format. The process has one connection, or two if the provider gives separate URLs for
 * publishing and consuming. The connections open at once, so that the log reports faults early. While RabbitMQ is away or
 * accepts no messages, `publish` keeps messages in the outbox, and the relay publishes them later.
 */
export function createAmqpBroker(database: Database, config: AmqpBrokerConfig, options: AmqpBrokerOptions): AmqpBroker {
  const { log } = options
  const connections = createConnections(config, options)
  const collect = once(async () =>
    config.resultCollect === 'on' ? createAmqpCollect(await connections.consuming(), { database, log }) : undefined,
  )
  const outgoing = once(async () => {
    const connection = await connections.publishing()
    const topology = createAmqpTopology(connection, config, log)
    const { beforeSending } = options
    return createAmqpOutgoing({ connection, topology, config, log, collect: await collect(), beforeSending })
  })
  const topology = once(async () => createAmqpTopology(await connections.consuming(), config, log))
  const control = once(async () => {
    const { createAmqpControl } = await import('./control.ts')
    const bindQueue = async (binding: QueueBinding) => (await topology()).bind(binding)
    return createAmqpControl({ connection: await connections.consuming(), log, bindQueue })
  })
  const outbox = createOutboxPath(database, log)
  const relay = createAmqpRelay({ database, log, send: async (...args) => (await outgoing()).send(...args) })
  const consumers = createConsumers({ database, config, options, connections, outgoing, topology })

  void connections.publishing()

  return {
    kind: 'amqp',
    connection: connections.consuming,
    publish: async (messages) => outbox.keepUnconfirmed(await (await outgoing()).send(messages), messages.length),
    async consume(wanted) {
      void (await collect())?.ready().catch(() => {})
      return consumers.open(wanted)
    },
    async relayDue(limit) {
      const { left, ...moved } = await publishDue(database, limit, relay)
      if (left > 0) throw new AppError('BROKER_UNREACHABLE', `RabbitMQ did not confirm ${left} messages of the outbox`)
      if (moved.moved > 0) outbox.logAgain()
      return moved
    },
    depths: async (queues) => {
      const { ready } = await topology()
      return Promise.all(queues.map(async (queue) => ({ queue, ready: await ready(queue), running: consumers.holds(queue) })))
    },
    purge: async (queue) => (await topology()).purge(queue),
    control,
    async close() {
      await (await collect())?.close()
      await connections.close()
    },
  }
}

interface Connections {
  publishing(): Promise<AmqpConnection>
  consuming(): Promise<AmqpConnection>
  /** Opens one more connection to consume on. The caller closes it. */
  openSecond(): Promise<AmqpConnection>
  close(): Promise<void>
}

function createConnections({ broker }: AmqpBrokerConfig, { name, log }: AmqpBrokerOptions): Connections {
  const { publishUrl, consumeUrl } = broker
  const opened: Promise<AmqpConnection>[] = []
  const connect = (url: string) =>
    once(() => {
      const opening = openAmqpConnection(url, { name, log })
      opened.push(opening)
      return opening
    })
  const publishing = connect(publishUrl)
  return {
    publishing,
    consuming: consumeUrl === publishUrl ? publishing : connect(consumeUrl),
    openSecond: () => openAmqpConnection(consumeUrl, { name: `${name} second`, log }),
    async close() {
      for (const connection of opened) await (await connection).close()
    },
  }
}

/**
 * Keeps messages in the outbox that RabbitMQ did not confirm in time, and throws an error for messages that AMQP can never
 * carry.
 */
function createOutboxPath(database: Database, log: Log) {
  let kept = false
  return {
    async keepUnconfirmed(unconfirmed: readonly Unconfirmed[], count: number): Promise<void> {
      const left = unconfirmed.filter(({ refused }) => refused === undefined)
      if (left.length > 0) {
        const messages = left.map(({ message }) => message)
        const maybeTaken = unconfirmed.length < count || left.some(({ sent }) => sent)
        await keepUnsent(database, messages, maybeTaken)
        if (!kept) log.warn({ messages: left.length }, 'RabbitMQ did not confirm in time, kept in the outbox until it does')
      }
      kept = left.length > 0
      const refused = unconfirmed.find((each) => each.refused !== undefined)?.refused
      if (refused !== undefined)
        throw new AppError('MESSAGE_REFUSED', `RabbitMQ cannot carry the message: ${refused.message}`, { cause: refused })
    },
    /** Called when RabbitMQ has confirmed messages of the outbox: the next outage is logged again. */
    logAgain() {
      kept = false
    },
  }
}

interface ConsumersParts {
  readonly database: Database
  readonly config: AmqpBrokerConfig
  readonly options: AmqpBrokerOptions
  readonly connections: Connections
  readonly outgoing: () => Promise<ReturnType<typeof createAmqpOutgoing>>
  readonly topology: () => Promise<ReturnType<typeof createAmqpTopology>>
}

/** The open consumers of this process. */
function createConsumers({ database, config, options: { log }, connections, outgoing, topology }: ConsumersParts) {
  const consumers = new Set<AmqpConsumer>()

  return {
    async open(wanted: ConsumeOptions): Promise<AmqpConsumer> {
      const connection = await connections.consuming()
      const parts = { publisher: await outgoing(), database, log }
      const mainTopology = await topology()
      const consumer = await createSecondConnectionConsumer(
        {
          connection,
          log,
          open: (how) => createAmqpConsumer({ ...parts, connection, topology: mainTopology }, how),
          async openSecond(how) {
            const second = await connections.openSecond()
            const secondTopology = createAmqpTopology(second, config, log)
            const consumer = await createAmqpConsumer({ ...parts, connection: second, topology: secondTopology }, how)
            return { consumer, connection: second }
          },
        },
        wanted,
      )
      consumers.add(consumer)
      return {
        ...consumer,
        async close(withinMs) {
          try {
            await consumer.close(withinMs)
          } finally {
            // A closed consumer must not stay in the set: a worker replaces its consumers and may run for years.
            consumers.delete(consumer)
          }
        },
      }
    },
    /** Returns how many messages of a queue the consumers of this process hold. */
    holds: (queue: string): number => [...consumers].reduce((sum, consumer) => sum + consumer.holds(queue), 0),
  }
}

function once<T>(make: () => Promise<T>): () => Promise<T> {
  let made: Promise<T> | undefined
  return () => {
    made ??= make()
    return made
  }
}
