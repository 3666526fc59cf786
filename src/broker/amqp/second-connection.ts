import type { Log } from '../../log.ts'
import type { ConsumeOptions, Delivery } from '../broker.ts'
import { byOwner } from '../by-owner.ts'
import type { AmqpConnection } from './connection.ts'
import type { AmqpConsumer } from './consumer.ts'

/** A consumer on a connection of its own. */
export interface Aside {
  readonly consumer: AmqpConsumer
  readonly connection: AmqpConnection
}

export interface AmqpDetourParts {
  /** The connection of the main consumer. */
  readonly connection: AmqpConnection
  open(options: ConsumeOptions): Promise<AmqpConsumer>
  openAside(options: ConsumeOptions): Promise<Aside>
  readonly log: Log
}

interface Taking extends Aside {
  /** Deliveries that are not settled. */
  held: number
  stopped: boolean
}

/**
 * A consumer that goes on while RabbitMQ is out of memory or disk. The server then reads nothing from a connection on which something was
 * published (rabbitmq.com, "Memory and Disk Alarms"), not even acknowledgements: a worker that sent a single message would take no more,
 * and a server that is full of messages would stay full. Until it reads again, messages are taken over a second connection as well.
 */
export async function createAmqpDetour(parts: AmqpDetourParts, options: ConsumeOptions): Promise<AmqpConsumer> {
  const { connection, log } = parts
  /** Deliveries of another consumer than the main one: none but in such a time, so that a message costs one comparison. */
  const owners = new Map<Delivery, Taking>()
  const asides = new Set<Taking>()
  const closing = new Set<Promise<void>>()
  let stopped = false
  let last: Promise<void> = Promise.resolve()

  const main = await parts.open(options)

  const inTurn = (work: () => Promise<void>) => {
    last = last.then(work).catch((error: Error) => log.debug({ reason: error.message }, 'no second connection to consume over'))
  }

  const follow = async () => {
    if (connection.blockedSince !== undefined && !stopped) await begin()
    else for (const aside of [...asides]) await end(aside)
  }

  const begin = async () => {
    if ([...asides].some((aside) => !aside.stopped)) return
    let taking: Taking | undefined
    const opened = await parts.openAside({
      ...options,
      onDeliveries(deliveries) {
        if (taking === undefined) return
        taking.held += deliveries.length
        for (const delivery of deliveries) owners.set(delivery, taking)
        options.onDeliveries(deliveries)
      },
    })
    taking = { ...opened, held: 0, stopped: false }
    asides.add(taking)
  }

  const end = async (aside: Taking) => {
    if (aside.stopped) return
    aside.stopped = true
    await aside.consumer.stop()
    closeIfDone(aside)
  }

  const closeIfDone = (aside: Taking) => {
    if (!aside.stopped || aside.held > 0 || !asides.delete(aside)) return
    const closed: Promise<void> = closeBoth(aside)
      .catch((error: Error) => log.debug({ reason: error.message }, 'second connection not closed in order'))
      .finally(() => closing.delete(closed))
    closing.add(closed)
  }

  const ownerOf = (delivery: Delivery): AmqpConsumer => (owners.size === 0 ? main : (owners.get(delivery)?.consumer ?? main))

  const settled = (delivery: Delivery) => {
    if (owners.size === 0) return
    const owner = owners.get(delivery)
    if (owner === undefined) return
    owners.delete(delivery)
    owner.held--
    closeIfDone(owner)
  }

  const all = () => [main, ...[...asides].map(({ consumer }) => consumer)]
  const stop = async () => {
    stopped = true
    stopFollowing()
    await last
    await Promise.all(all().map((each) => each.stop()))
  }

  const stopFollowing = connection.onChange(() => inTurn(follow))
  inTurn(follow)
  return {
    ...byOwner({ ownerOf, settled }),
    stop,
    async flush() {
      await Promise.all(all().map((each) => each.flush()))
    },
    async close(withinMs) {
      await stop()
      await Promise.all([main.close(withinMs), ...[...asides].map((aside) => closeBoth(aside, withinMs)), ...closing])
    },
    holds: (queue) => all().reduce((sum, each) => sum + each.holds(queue), 0),
  }
}

async function closeBoth({ consumer, connection }: Aside, withinMs?: number): Promise<void> {
  await consumer.close(withinMs)
  await connection.close()
}
