import type { BrokerChoice, Config } from '../../config.ts'
import type { Database } from '../../database/database.ts'
import { keepAside } from '../../database/keep-aside.ts'
import { AppError } from '../../errors.ts'
import type { Log } from '../../log.ts'
import type { Message } from '../../message/message.ts'
import type { BeforeSending, Broker, ConsumeOptions } from '../broker.ts'
import { createCircuit } from '../circuit.ts'
import { keepUnsent } from '../outbox/keep-unsent.ts'
import { publishDue, type Untaken } from '../outbox/publish.ts'
import { createAmqpCollect } from './collect.ts'
import { type AmqpConnection, openAmqpConnection } from './connection.ts'
import { type AmqpConsumer, createAmqpConsumer } from './consumer.ts'
import { createAmqpPublisher } from './publisher.ts'
import { createRefusedQueues } from './refused-queues.ts'
import { createAmqpDetour } from './second-connection.ts'
import type { SendOptions, Unconfirmed } from './sending.ts'
import { createAmqpTopology } from './topology.ts'

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
  config: Pick<Config, 'publishTimeoutMs' | 'queueType' | 'queueMaxPriority'> &
    Partial<Pick<Config, 'resultCollect'>> & { readonly broker: AmqpChoice },
  options: { readonly name: string; readonly log: Log; readonly beforeSending?: BeforeSending | undefined },
): AmqpBroker {
  const { log, name } = options
  const { publishUrl, consumeUrl } = config.broker
  const consumers = new Set<AmqpConsumer>()
  const connections: Promise<AmqpConnection>[] = []
  const refusedQueues = createRefusedQueues(log)
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
    const topology = createAmqpTopology(connection, config, log)
    const circuit = createCircuit({
      timeoutMs: config.publishTimeoutMs,
      onOpen: () => made.giveUp(),
      onClose: () => log.info('RabbitMQ confirms again, messages go straight to it'),
    })
    const beforeSending = (await collect())?.ready
    const made = createAmqpPublisher({ connection, topology, log, beforeSending, onAnswer: circuit.heard })
    connection.onChange(() => {
      if (!isAway(connection)) circuit.tryAgain()
    })
    return { connection, circuit, ...made }
  })
  const collect = once(async () =>
    config.resultCollect === 'on' ? createAmqpCollect(await consuming(), { database, log }) : undefined,
  )
  const consumingTopology = once(async () => createAmqpTopology(await consuming(), config, log))

  const control = once(async () => {
    const { createAmqpControl } = await import('./control.ts')
    return createAmqpControl(await consuming(), log)
  })

  /** The messages as those whose results are to come here. */
  const awaited = async (messages: readonly Message[]) => {
    await options.beforeSending?.(messages)
    return (await collect())?.addressed(messages, config.publishTimeoutMs) ?? messages
  }

  /** Who has waited once through an outage need not wait again for its end; `patient`: only where it is known that there is no connection. */
  const send = async (messages: readonly Message[], how: SendOptions & { patient?: boolean } = {}): Promise<Unconfirmed[]> => {
    const { connection, circuit, send } = await publisher()
    const awaySince = connection.awaySince ?? connection.blockedSince
    const known = awaySince !== undefined && (circuit.isOpen || performance.now() - awaySince > config.publishTimeoutMs)
    const patienceMs = known ? 0 : how.patient === true ? config.publishTimeoutMs : circuit.patienceMs()
    const outgoing = config.resultCollect === 'on' ? await awaited(messages) : messages
    const since = performance.now()
    const left = await send(outgoing, patienceMs, how)
    if (patienceMs > 0 && left.some(({ refused, putOff }) => refused === undefined && putOff === undefined))
      circuit.unanswered(since)
    return left
  }

  /** What the outbox holds and nobody can ever send must not hold up what is behind it. */
  const keepUnsendable = async (message: Message, reason: Error) => {
    const { id, task } = message.headers
    log.error({ id, task, queue: message.queue, reason: reason.message }, 'message cannot be sent, kept aside in dead_letter')
    await keepAside(database, message, `RabbitMQ cannot carry it: ${reason.message}`)
  }

  /** Messages of the outbox: one queue that takes none holds up those of no other. */
  const relay = async (due: readonly Message[]): Promise<readonly Untaken[]> => {
    const open = new Set(due.filter(({ queue }) => refusedQueues.waitMs(queue) === 0))
    const unconfirmed = open.size === 0 ? [] : await send([...open], { patient: true, putOff: true })
    for (const { message, refused } of unconfirmed) if (refused !== undefined) await keepUnsendable(message, refused)
    const without = new Set(unconfirmed.map(({ message }) => message.headers.id))
    for (const { queue, headers } of open) if (!without.has(headers.id)) refusedQueues.taken(queue)
    const reasons = new Map(unconfirmed.flatMap(({ message, putOff }) => (putOff === undefined ? [] : [[message.queue, putOff]])))
    for (const [queue, reason] of reasons) refusedQueues.refused(queue, reason)
    const later = (message: Message): Untaken => ({ message, putOffMs: refusedQueues.waitMs(message.queue) })
    return [
      ...due.filter((message) => !open.has(message)).map(later),
      ...unconfirmed
        .filter(({ refused }) => refused === undefined)
        .map(({ message, putOff }) => (putOff === undefined ? { message } : later(message))),
    ]
  }

  void publishing()

  return {
    kind: 'amqp',
    connection: consuming,
    async publish(messages) {
      const unconfirmed = await send(messages)
      const left = unconfirmed.filter(({ refused }) => refused === undefined)
      if (left.length > 0) {
        const maySomebodyHaveIt = unconfirmed.length < messages.length || left.some(({ sent }) => sent)
        await keepUnsent(
          database,
          left.map(({ message }) => message),
          maySomebodyHaveIt,
        )
        if (!kept) log.warn({ messages: left.length }, 'RabbitMQ did not confirm in time, kept in the outbox until it does')
      }
      kept = left.length > 0
      const refused = unconfirmed.find((each) => each.refused !== undefined)?.refused
      if (refused !== undefined)
        throw new AppError('MESSAGE_REFUSED', `RabbitMQ cannot carry the message: ${refused.message}`, { cause: refused })
    },
    async consume(wanted) {
      const connection = await consuming()
      void (await collect())?.ready().catch(() => {})
      const parts = { publisher: await publisher(), database, log }
      const topology = await consumingTopology()
      const open = (options: ConsumeOptions) => createAmqpConsumer({ ...parts, connection, topology }, options)
      const openAside = async (options: ConsumeOptions) => {
        const aside = await openAmqpConnection(consumeUrl, { name: `${name} aside`, log })
        const consumer = await createAmqpConsumer(
          { ...parts, connection: aside, topology: createAmqpTopology(aside, config, log) },
          options,
        )
        return { consumer, connection: aside }
      }
      const consumer = await createAmqpDetour({ connection, open, openAside, log }, wanted)
      consumers.add(consumer)
      return {
        ...consumer,
        async close(withinMs) {
          try {
            await consumer.close(withinMs)
          } finally {
            // A worker exchanges its consumers, and may live for years.
            consumers.delete(consumer)
          }
        },
      }
    },
    async relayDue(limit) {
      const { left, ...moved } = await publishDue(database, limit, relay)
      if (left > 0) throw new AppError('BROKER_UNREACHABLE', `RabbitMQ did not confirm ${left} messages of the outbox`)
      if (moved.moved > 0) kept = false
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
      await (await collect())?.close()
      for (const connection of connections) await (await connection).close()
    },
  }
}

const isAway = ({ awaySince, blockedSince }: AmqpConnection) => awaySince !== undefined || blockedSince !== undefined

function once<T>(make: () => Promise<T>): () => Promise<T> {
  let made: Promise<T> | undefined
  return () => {
    made ??= make()
    return made
  }
}
