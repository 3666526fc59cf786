import { createMutex } from '../../concurrency/mutex.ts'
import type { Log } from '../../log.ts'
import type { ConsumeOptions, Delivery } from '../broker.ts'
import { byOwner } from '../by-owner.ts'
import type { AmqpConnection } from './connection.ts'
import type { AmqpConsumer } from './consumer.ts'

/** A consumer and its own connection. */
export interface Connected {
  readonly consumer: AmqpConsumer
  readonly connection: AmqpConnection
}

export interface SecondConnectionParts {
  /** The connection of the main consumer. */
  readonly connection: AmqpConnection
  open(options: ConsumeOptions): Promise<AmqpConsumer>
  openSecond(options: ConsumeOptions): Promise<Connected>
  readonly log: Log
}

/**
 * A consumer that continues while RabbitMQ is out of memory or disk. During such an alarm the server does not read from a
 * connection that has published (rabbitmq.com, "Memory and Disk Alarms"), so it receives no acknowledgements either. A worker
 * that has sent one message would receive no more messages, and a server full of messages would stay full. So the worker also
 * consumes on a second connection until the alarm ends.
 */
export async function createSecondConnectionConsumer(
  parts: SecondConnectionParts,
  options: ConsumeOptions,
): Promise<AmqpConsumer> {
  const { connection, log } = parts
  const main = await parts.open(options)
  const seconds = createSecondConsumers(parts, options)
  const mutex = createMutex()
  let stopped = false

  const follow = () =>
    mutex
      .run(() => (connection.blockedSince !== undefined && !stopped ? seconds.open() : seconds.stop()))
      .catch((error: Error) => log.debug({ reason: error.message }, 'no second connection to consume over'))

  const all = () => [main, ...seconds.consumers()]
  const stop = async () => {
    stopped = true
    stopFollowing()
    await mutex.idle()
    await Promise.all(all().map((each) => each.stop()))
  }

  const stopFollowing = connection.onChange(() => void follow())
  void follow()
  return {
    ...byOwner({ ownerOf: (delivery) => seconds.ownerOf(delivery) ?? main, settled: seconds.settled }),
    stop,
    async flush() {
      await Promise.all(all().map((each) => each.flush()))
    },
    async close(withinMs) {
      await stop()
      await Promise.all([main.close(withinMs), seconds.close(withinMs)])
    },
    holds: (queue) => all().reduce((sum, each) => sum + each.holds(queue), 0),
  }
}

interface Second extends Connected {
  /** The number of deliveries that are not settled. */
  held: number
  stopped: boolean
}

/** The consumers on second connections: at most one that receives messages, and stopped consumers that still hold messages. */
function createSecondConsumers(parts: SecondConnectionParts, options: ConsumeOptions) {
  /**
   * The owners of deliveries that do not belong to the main consumer. Empty unless RabbitMQ has an alarm, so a message usually
   * costs one comparison.
   */
  const owners = new Map<Delivery, Second>()
  const open = new Set<Second>()
  const closing = new Set<Promise<void>>()

  const closeIfDone = (second: Second) => {
    if (!second.stopped || second.held > 0 || !open.delete(second)) return
    const closed: Promise<void> = closeBoth(second)
      .catch((error: Error) => parts.log.debug({ reason: error.message }, 'second connection not closed in order'))
      .finally(() => closing.delete(closed))
    closing.add(closed)
  }

  const stopOne = async (second: Second) => {
    if (second.stopped) return
    second.stopped = true
    await second.consumer.stop()
    closeIfDone(second)
  }

  return {
    consumers: (): AmqpConsumer[] => [...open].map(({ consumer }) => consumer),
    async open() {
      if ([...open].some(({ stopped }) => !stopped)) return
      let second: Second | undefined
      const opened = await parts.openSecond({
        ...options,
        onDeliveries(deliveries) {
          if (second === undefined) return
          second.held += deliveries.length
          for (const delivery of deliveries) owners.set(delivery, second)
          options.onDeliveries(deliveries)
        },
      })
      second = { ...opened, held: 0, stopped: false }
      open.add(second)
    },
    async stop() {
      for (const second of [...open]) await stopOne(second)
    },
    /** Returns the owner of a delivery, or undefined for the main consumer. HOT: called for every call about a delivery. */
    ownerOf: (delivery: Delivery): AmqpConsumer | undefined => (owners.size === 0 ? undefined : owners.get(delivery)?.consumer),
    settled(delivery: Delivery) {
      if (owners.size === 0) return
      const owner = owners.get(delivery)
      if (owner === undefined) return
      owners.delete(delivery)
      owner.held--
      closeIfDone(owner)
    },
    async close(withinMs?: number) {
      await Promise.all([...[...open].map((second) => closeBoth(second, withinMs)), ...closing])
    },
  }
}

async function closeBoth({ consumer, connection }: Connected, withinMs?: number): Promise<void> {
  await consumer.close(withinMs)
  await connection.close()
}
