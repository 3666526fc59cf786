import { waitAtMost } from '../../concurrency/with-timeout.ts'
import type { Background } from '../consumer/background.ts'
import type { ConsumerProtocol } from '../consumer/consumer.ts'
import type { HeldTable } from '../consumer/held.ts'
import type { LifeCycle } from '../consumer/life-cycle.ts'
import type { Recorder } from '../outcomes/recorder.ts'
import type { WorkerSession } from '../worker-session.ts'
import type { AmqpSettlement } from './confirm.ts'
import type { Redeliveries } from './deaths.ts'
import type { AmqpHeld } from './held.ts'
import type { AmqpIntake } from './intake.ts'
import type { AmqpRedelivery } from './redelivery.ts'
import type { AmqpRequeue } from './requeue.ts'

export interface AmqpProtocolParts {
  readonly life: LifeCycle
  readonly held: HeldTable<AmqpHeld>
  readonly background: Background
  readonly recorder: Recorder<AmqpSettlement>
  readonly redeliveries: Redeliveries
  readonly redelivery: AmqpRedelivery
  readonly requeue: AmqpRequeue
  readonly intake: AmqpIntake
  readonly worker: WorkerSession
  /** Resumes deliveries from paused queues if a slot is free. */
  readonly resume: () => void
}

/** Maps the operations of one consumer to requests to RabbitMQ and PostgreSQL. */
export function createAmqpProtocol(parts: AmqpProtocolParts): ConsumerProtocol<AmqpHeld> {
  const { life, held, background, recorder, redeliveries, redelivery, requeue, intake, worker } = parts

  const keepDeadLetter = async ({ message, tag }: AmqpHeld, reason: string) => {
    const kept = await redelivery.retryUnlessRefused(() => recorder.deadLetter(message, reason).then(() => true))
    // A message that the database refuses stays unacknowledged, so RabbitMQ keeps it.
    if (kept && !life.closed.aborted) tag.acks.reject(tag.raw, { requeue: false })
  }

  const flush = async () => {
    do {
      await new Promise<void>((resolve) => setImmediate(resolve))
      await background.idle()
      await recorder.flush()
    } while (background.size > 0 || recorder.pending > 0 || requeue.size > 0)
  }

  return {
    settle(delivery, outcome, { rejected = false, effects }) {
      const { message } = delivery
      const redeliveredId = delivery.tag.raw.fields.redelivered ? message.headers.id : undefined
      recorder.record({ outcome, delivery, message, redeliveredId, rejected, effects })
      parts.resume()
    },
    storeStarted: (outcome) => recorder.record({ outcome, delivery: undefined, message: undefined, rejected: false }),
    async acknowledge(delivery) {
      const { acks, raw } = delivery.tag
      acks.ack([raw])
      if (await acks.processed()) return true
      // It is unknown whether the server processed the acknowledgement. The message must not run here, because the server may
      // deliver it again.
      held.release(delivery)
      return false
    },
    begin: (delivery) => redeliveries.begin(delivery.message.headers.id, worker.id),
    requeue: requeue.add,
    deadLetter: (delivery, reason) => background.run(keepDeadLetter(delivery, reason)),
    stop: () => intake.stop(),
    flush,
    async drain(withinMs) {
      await intake.stop()
      const flushed = await waitAtMost(flush(), withinMs)
      for (const delivery of held.values()) if (held.release(delivery) && !delivery.early) requeue.add(delivery, false)
      if (flushed) await waitAtMost(flush(), withinMs)
    },
    get unsettled() {
      return recorder.pending
    },
    async leave() {
      await intake.close()
      await worker.leave()
    },
  }
}
