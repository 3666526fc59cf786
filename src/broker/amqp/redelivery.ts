import { retry } from '../../concurrency/retry.ts'
import { isConnectionError, isRefusal } from '../../concurrency/transient.ts'
import type { Database } from '../../database/database.ts'
import type { Log } from '../../log.ts'
import type { ResultMirror } from '../broker.ts'
import { storedOutcomes } from '../celery-results/stored-again.ts'
import type { HeldTable } from '../consumer/held.ts'
import { isStored } from '../outcomes/effects.ts'
import type { WorkerSession } from '../worker-session.ts'
import type { AmqpAcks } from './acks.ts'
import type { AmqpConfirmations } from './confirm.ts'
import type { Redeliveries } from './deaths.ts'
import type { AmqpHeld } from './held.ts'

const BACKOFF = { firstMs: 100, maxMs: 5000 }

export interface AmqpRedeliveryParts {
  readonly database: Database
  readonly log: Log
  readonly redeliveries: Redeliveries
  readonly worker: Pick<WorkerSession, 'id'>
  readonly mirror: ResultMirror | undefined
  /** Aborts when nothing is worth waiting for any more. */
  readonly signal: AbortSignal
  /** What the consumer holds: a message that came again is put in the place of itself, with its history. */
  readonly held: HeldTable<AmqpHeld>
  /** Stores what is finished here. */
  flush(): Promise<void>
  readonly confirmations: Pick<AmqpConfirmations, 'isAnswered' | 'answer'>
  /** These are to run. */
  run(deliveries: readonly AmqpHeld[]): void
  /** Acknowledged without running. */
  settle(delivery: AmqpHeld): void
}

/** RabbitMQ says only that a message came again: whether it is done already, and whether somebody died with it, is in the database. */
export interface AmqpRedelivery {
  /** What was held over a channel that broke comes again, here or elsewhere, and nobody died with it. */
  lost(from: AmqpAcks): void
  /** They came again: runs them, or acknowledges them without running. */
  lookInto(again: readonly AmqpHeld[]): Promise<void>
  /** For what must be known or written before anything else: again and again until the database does it; undefined when it refuses the value. */
  retryUnlessRefused<T>(work: () => Promise<T>): Promise<T | undefined>
}

export function createAmqpRedelivery(parts: AmqpRedeliveryParts): AmqpRedelivery {
  const { database, log, redeliveries, worker, mirror, signal, held, confirmations } = parts
  let noting: Promise<unknown> = Promise.resolve()

  const say = (err: unknown, attempt: number) => {
    if (attempt === 0 && !isConnectionError(err)) log.error({ err }, 'database refuses, what came again waits until it does not')
  }

  const retryUnlessRefused = async <T>(work: () => Promise<T>): Promise<T | undefined> => {
    try {
      // A full disk, say, passes.
      return await retry(work, { ...BACKOFF, isRetryable: (error) => !isRefusal(error), signal, onRetry: say })
    } catch (err) {
      if (!signal.aborted) log.error({ err }, 'database refuses what is noted about a redelivered message')
      return undefined
    }
  }

  /** Who stored the outcome may have died before it told those who wait elsewhere. */
  const tellAgain = async (done: readonly AmqpHeld[]) => {
    const untold = done.map(({ message }) => message).filter((each) => mirror !== undefined || confirmations.isAnswered(each))
    const recorded = untold.length === 0 ? [] : ((await retryUnlessRefused(() => storedOutcomes(database, untold))) ?? [])
    await mirror?.write(recorded)
    for (const { message, outcome } of recorded) if (message !== undefined) confirmations.answer(message, outcome)
    for (const delivery of done) parts.settle(delivery)
  }

  return {
    retryUnlessRefused,
    lost(from) {
      const ids = held
        .values()
        .filter(({ tag, deliveries, known }) => tag.acks === from && deliveries === 1 && (!tag.raw.fields.redelivered || known))
        .map(({ message }) => message.headers.id)
        .filter((id) => id !== '')
      if (ids.length > 0) noting = Promise.all([noting, retryUnlessRefused(() => redeliveries.lost(ids))])
    },
    async lookInto(again) {
      // What is finished here is stored first, so that the answer is true.
      await parts.flush()
      await noting
      const ids = again.map(({ message }) => message.headers.id)
      const histories = await retryUnlessRefused(() => redeliveries.look(ids, worker.id))
      const deliveries: AmqpHeld[] = []
      const done: AmqpHeld[] = []
      for (const delivery of again) {
        const { id, task } = delivery.message.headers
        const history = histories?.get(id)
        const known: AmqpHeld = { ...delivery, deliveries: (history?.deaths ?? 0) + 1, known: true }
        if (!held.replace(delivery, known)) continue
        if (isStored(known.message, history?.recorded)) {
          log.info({ id, task }, 'outcome already recorded, message acknowledged without running')
          done.push(known)
        } else deliveries.push(known)
      }
      if (deliveries.length > 0) parts.run(deliveries)
      if (done.length > 0) await tellAgain(done)
    },
  }
}
