import type { Outcome } from '../../app/outcome.ts'
import type { Log } from '../../log.ts'
import type { Consumer, Delivery, FinishOptions } from '../broker.ts'
import type { HeldDelivery, HeldTable } from './held.ts'
import type { LifeCycle } from './life-cycle.ts'

/**
 * The operations of one consumer in the protocol of its broker. Each delivery that they receive was held at the moment of the
 * call.
 */
export interface ConsumerProtocol<D extends HeldDelivery> {
  /** Stores the outcome and then, or in the same commit, acknowledges the message. */
  settle(delivery: D, outcome: Outcome | null, options: FinishOptions): void
  /** Stores the outcome STARTED, which acknowledges no message. */
  storeStarted(outcome: Outcome): void
  /** Does what `Consumer.acknowledge` promises. */
  acknowledge(delivery: D): Promise<boolean>
  /** Does what `Consumer.begin` promises. This consumer may no longer hold the delivery. */
  begin(delivery: Delivery): Promise<void>
  requeue(delivery: D, counted: boolean): void
  deadLetter(delivery: D, reason: string): void
  /** Resolves when no message will arrive any more. */
  stop(): Promise<void>
  flush(): Promise<void>
  /** Flushes for at most `withinMs` milliseconds (default: no limit). `close` calls it before `leave`. */
  drain(withinMs: number | undefined): Promise<void>
  /** The number of finished messages that are not yet settled. */
  readonly unsettled: number
  /** Signs off and requeues the messages that are still held. */
  leave(withinMs: number | undefined): Promise<void>
}

const NO_OPTIONS: FinishOptions = {}

/** A `Consumer` on top of the protocol of one broker. It checks which deliveries are held, and closes step by step. HOT. */
export function createConsumer<D extends HeldDelivery>(
  { held, life, log }: { readonly held: HeldTable<D>; readonly life: LifeCycle; readonly log: Log },
  protocol: ConsumerProtocol<D>,
): Consumer {
  return {
    finish(delivery, outcome, options = NO_OPTIONS) {
      const mine = held.finish(delivery)
      if (mine !== undefined) protocol.settle(mine, outcome, options)
    },
    acknowledge(delivery) {
      const mine = held.get(delivery)
      if (mine === undefined || !life.isOpen) return Promise.resolve(false)
      mine.early = true
      return protocol.acknowledge(mine)
    },
    begin: (delivery) => protocol.begin(delivery),
    started(delivery, outcome) {
      if (held.has(delivery)) protocol.storeStarted(outcome)
    },
    requeue(delivery, { counted }) {
      const mine = held.release(delivery)
      if (mine !== undefined && !mine.early) protocol.requeue(mine, counted)
    },
    deadLetter(delivery, { reason }) {
      const mine = held.release(delivery)
      if (mine !== undefined) protocol.deadLetter(mine, reason)
    },
    stop() {
      life.send('stop-requested')
      return protocol.stop()
    },
    flush: () => protocol.flush(),
    async close(withinMs) {
      life.send('close-requested')
      await protocol.drain(withinMs)
      life.send('closed')
      const finished = protocol.unsettled
      if (finished > 0) log.error({ finished }, 'outcomes not stored in time, their tasks run again')
      await protocol.leave(withinMs)
    },
  }
}
