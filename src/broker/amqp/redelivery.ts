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
  /** Aborts when the consumer closes. */
  readonly signal: AbortSignal
  /** The messages that the consumer holds. A redelivered message is replaced by a copy with its history. */
  readonly held: HeldTable<AmqpHeld>
  /** Resolves when the outcomes of this consumer are stored. */
  flush(): Promise<void>
  readonly confirmations: Pick<AmqpConfirmations, 'isAnswered' | 'answer'>
  /** Passes messages to the worker. */
  run(deliveries: readonly AmqpHeld[]): void
  /** Acknowledges a message without running it. */
  settle(delivery: AmqpHeld): void
}

/**
 * Handles redelivered messages. RabbitMQ reports only that a message was redelivered; its stored outcome and its deaths are in
 * the database.
 */
export interface AmqpRedelivery {
  /** Notes that the messages of a broken channel are redelivered without a death. */
  lost(from: AmqpAcks): void
  /** Runs redelivered messages. A message whose outcome is stored is acknowledged instead. */
  lookInto(again: readonly AmqpHeld[]): Promise<void>
  /** Repeats `work` until it succeeds. @returns undefined if the database refuses a value, or if the consumer closes */
  retryUnlessRefused<T>(work: () => Promise<T>): Promise<T | undefined>
}

export function createAmqpRedelivery(parts: AmqpRedeliveryParts): AmqpRedelivery {
  const { database, log, redeliveries, worker, mirror, signal, held, confirmations } = parts
  let noting: Promise<unknown> = Promise.resolve()

  const logFailure = (err: unknown, attempt: number) => {
    if (attempt === 0 && !isConnectionError(err))
      log.error({ err }, 'database failed, redelivered messages wait until it works again')
  }

  const retryUnlessRefused = async <T>(work: () => Promise<T>): Promise<T | undefined> => {
    try {
      // Other failures, such as a full disk, are transient.
      return await retry(work, { ...BACKOFF, isRetryable: (error) => !isRefusal(error), signal, onRetry: logFailure })
    } catch (err) {
      if (!signal.aborted) log.error({ err }, 'database refuses a note about a redelivered message')
      return undefined
    }
  }

  /**
   * Mirrors stored outcomes and replies to clients again, because the worker that stored an outcome may have died before it did
   * so.
   */
  const reportAgain = async (done: readonly AmqpHeld[]) => {
    const reported = done.map(({ message }) => message).filter((each) => mirror !== undefined || confirmations.isAnswered(each))
    const stored = reported.length === 0 ? [] : ((await retryUnlessRefused(() => storedOutcomes(database, reported))) ?? [])
    await mirror?.write(stored)
    for (const { message, outcome } of stored) if (message !== undefined) confirmations.answer(message, outcome)
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
      // The outcomes of this consumer must be stored before the lookup, so that it finds them.
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
          log.info({ id, task }, 'outcome already stored, message acknowledged without running')
          done.push(known)
        } else deliveries.push(known)
      }
      if (deliveries.length > 0) parts.run(deliveries)
      if (done.length > 0) await reportAgain(done)
    },
  }
}
