import type { Log } from '../../log.ts'
import type { ConsumeOptions } from '../broker.ts'
import type { HeldDelivery, HeldTable } from '../consumer/held.ts'
import { createOrderedLookup } from '../consumer/ordered-lookup.ts'
import type { Prefetch } from '../consumer/prefetch.ts'
import { isStored } from '../outcomes/effects.ts'
import type { RedisClaims, Taken } from './claims.ts'
import { type Opened, openEnvelope, tagOfUnreadable } from './envelope.ts'
import { type RedisOutcomes, unreadable } from './outcomes.ts'

export interface RedisHeld extends HeldDelivery {
  readonly tag: string
}

export interface RedisArrivalsParts extends Pick<ConsumeOptions, 'inOrder' | 'onDeliveries'> {
  readonly held: HeldTable<RedisHeld>
  readonly prefetch: Pick<Prefetch, 'taken'>
  /** Tags of all messages in `unacked` that this worker holds. */
  readonly tags: Set<string>
  readonly outcomes: Pick<RedisOutcomes, 'deadLetter' | 'stored'>
  readonly claims: Pick<RedisClaims, 'broken' | 'removeBroken'>
  readonly log: Log
  readonly acknowledge: (tags: readonly string[]) => void
  /** Acknowledges a held message without running it. */
  readonly finish: (delivery: RedisHeld) => void
}

/** Passes the messages of a claim to the worker. Redelivered messages wait until their outcomes have been looked up. HOT. */
export function createRedisArrivals(parts: RedisArrivalsParts) {
  const { held, prefetch, tags, outcomes, inOrder = false, onDeliveries } = parts

  const handOutAgain = async (deliveries: readonly RedisHeld[]) => {
    const open = await notStored(parts, deliveries)
    if (open.length > 0) onDeliveries(open)
  }
  const lookup = createOrderedLookup(handOutAgain)

  /**
   * Opens an envelope. The script found a delivery tag in the text, but JSON.parse may still refuse it, for example because of
   * numbers that JSON does not allow.
   */
  const open = (text: string, queue: string): Opened | undefined => {
    try {
      return openEnvelope(text, queue)
    } catch (error) {
      const tag = tagOfUnreadable(text)
      tags.add(tag)
      const reason = `unreadable envelope: ${(error as Error).message}`
      outcomes.deadLetter(unreadable(queue, text), reason, () => parts.acknowledge([tag]))
      return undefined
    }
  }

  return ([broken, counts, deaths, messages]: Taken, lists: readonly { readonly queue: string }[]): void => {
    if (broken > 0) void keepBroken(parts)
    const all: RedisHeld[] = []
    const fresh: RedisHeld[] = []
    const again: RedisHeld[] = []
    let at = 0
    for (const [index, { queue }] of lists.entries()) {
      for (const end = at + (counts[index] ?? 0); at < end; at++) {
        const opened = open(messages[at] ?? '', queue)
        if (opened === undefined) continue
        const died = deaths[at] ?? 0
        const { message, refused, tag } = opened
        const delivery: RedisHeld = { message, deliveries: died + 1, tag, refused, early: false }
        tags.add(tag)
        held.add(delivery)
        if (inOrder) all.push(delivery)
        if (died > 0 || opened.redelivered) again.push(delivery)
        else fresh.push(delivery)
      }
    }
    prefetch.taken(fresh.length + again.length)
    if (inOrder && (again.length > 0 || lookup.isBusy)) {
      void lookup.add(all)
      return
    }
    if (fresh.length > 0) onDeliveries(fresh)
    if (again.length > 0) void handOutAgain(again)
  }
}

/**
 * Returns the deliveries that must run. If a worker died after it stored an outcome and before it acknowledged the message,
 * acknowledges this message without running it.
 */
async function notStored(
  { held, outcomes, log, finish }: RedisArrivalsParts,
  deliveries: readonly RedisHeld[],
): Promise<RedisHeld[]> {
  const stored = await outcomes.stored(deliveries.map(({ message }) => message))
  const isDone = ({ message }: RedisHeld) => isStored(message, stored.get(message.headers.id))
  const open = deliveries.filter((delivery) => held.has(delivery) && !isDone(delivery))
  for (const delivery of deliveries) {
    const { id, task } = delivery.message.headers
    if (!isDone(delivery)) continue
    log.info({ id, task }, 'outcome already stored, message acknowledged without running')
    finish(delivery)
  }
  return open
}

/**
 * Keeps texts without a delivery tag as dead letters. The texts stay in a list of this worker until PostgreSQL has stored them.
 */
async function keepBroken({ claims, outcomes }: RedisArrivalsParts): Promise<void> {
  for (const { entry, list, text } of await claims.broken().catch(() => []))
    outcomes.deadLetter(unreadable(list, text), 'no envelope with a delivery tag', () => {
      claims.removeBroken(entry).catch(() => {})
    })
}
