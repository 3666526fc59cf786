import { type ConfirmChannel, IllegalOperationError } from 'amqplib'
import { pauseMs } from '../../concurrency/retry.ts'
import { sleep } from '../../concurrency/sleep.ts'
import type { Log } from '../../log.ts'
import type { AmqpConnection } from './connection.ts'
import type { Job } from './job.ts'
import { type AmqpSending, createAmqpSending } from './sending.ts'
import type { AmqpTopology } from './topology.ts'

const BACKOFF = { firstMs: 50, maxMs: 2000 }
/** Sent between two looks at the socket: bounds what waits in memory while the server is slow. */
const MAX_BATCH = 500
/** A queue that the server refuses is asked for again after so many milliseconds. */
const REFUSED_QUEUE_MS = 500

/** Messages on their way to RabbitMQ, each until the server has confirmed it. */
export interface AmqpPublisher extends AmqpSending {
  close(): void
}

/** What a publisher tells of the server, and does first. */
export interface AmqpPublisherOptions {
  readonly beforeSending?: (() => Promise<void>) | undefined
  /** The server has answered something, be it with a refusal. */
  readonly onAnswer?: (() => void) | undefined
}

/**
 * One confirm channel. What is handed in during one turn of the event loop leaves together, when `beforeSending` has resolved (the queue for
 * replies is there).
 */
export function createAmqpPublisher(
  connection: AmqpConnection,
  topology: AmqpTopology,
  log: Log,
  { beforeSending, onAnswer }: AmqpPublisherOptions = {},
): AmqpPublisher {
  let waiting: Job[] = []
  const sent = new Set<Job>()
  /** Each is said once. */
  const refusedQueues = new Set<string>()
  let channel: ConfirmChannel | undefined
  let pumping = false
  let closed = false

  const pump = async () => {
    if (pumping) return
    pumping = true
    for (let attempt = 0; waiting.length > 0 && !closed; ) {
      try {
        const open = channel ?? (await openChannel())
        while (connection.blockedSince !== undefined) await nextChange()
        const batch = await declared(waiting.splice(0, MAX_BATCH))
        if (!write(open, batch)) await drained(open)
        attempt = 0
      } catch (error) {
        log.debug({ reason: (error as Error).message }, 'could not publish to RabbitMQ, trying again')
        waiting = waiting.filter(({ over }) => !over)
        await sleep(pauseMs(attempt++, BACKOFF))
      }
    }
    pumping = false
  }

  const openChannel = async () => {
    const open = await connection.createConfirmChannel()
    open.on('error', (error) => log.debug({ reason: error.message }, 'publishing channel closed by RabbitMQ'))
    open.on('return', ({ properties }) => {
      for (const job of sent) if (job.options.headers?.id === properties.headers?.id) job.returned = true
    })
    open.on('close', () => {
      if (channel === open) channel = undefined
      again([...sent])
    })
    channel = open
    return open
  }

  /** The queues of a batch exist when it is sent; where that fails, the whole batch waits for the next attempt. */
  const declared = async (batch: Job[]): Promise<Job[]> => {
    try {
      const queues = new Set(batch.map((job) => (job.options.mandatory === true ? job.queue : undefined)))
      const refused = new Map<string, string>()
      for (const queue of queues) {
        const reason = queue === undefined ? undefined : await refusalOf(queue)
        if (queue !== undefined && reason !== undefined) refused.set(queue, reason)
      }
      await beforeSending?.()
      if (refused.size === 0) return batch
      waitFor(refused, batch)
      return batch.filter(({ queue }) => !refused.has(queue))
    } catch (error) {
      waiting.unshift(...batch)
      throw error
    }
  }

  /** Messages of other queues do not wait for them. */
  const waitFor = (refused: ReadonlyMap<string, string>, batch: readonly Job[]) => {
    const late: Job[] = []
    for (const job of batch) {
      const reason = refused.get(job.queue)
      if (reason === undefined || isPutOff(job, reason)) continue
      late.push(job)
      if (!refusedQueues.has(job.queue)) log.warn({ queue: job.queue, reason }, 'RabbitMQ refuses a queue, its messages wait')
      refusedQueues.add(job.queue)
    }
    if (late.length > 0) setTimeout(again, REFUSED_QUEUE_MS, late)
  }

  /** @returns false when it is one that waits for its queue */
  const isPutOff = (job: Job, reason: string): boolean => {
    if (job.putOff === undefined) return false
    if (!job.over) job.putOff(reason)
    job.over = true
    return true
  }

  /** By the server, for its name or by a right that we lack. */
  const refusalOf = async (queue: string): Promise<string | undefined> => {
    try {
      await topology.declare(queue)
      refusedQueues.delete(queue)
      return undefined
    } catch (error) {
      if (!isRefused(error)) throw error
      onAnswer?.()
      return (error as Error).message
    }
  }

  /** @returns false when the socket is full */
  const write = (open: ConfirmChannel, batch: readonly Job[]): boolean => {
    let hasRoom = true
    for (const [index, job] of batch.entries()) {
      if (job.over) continue
      try {
        sent.add(job)
        job.sent = true
        hasRoom = open.publish('', job.queue, job.body, job.options, (error) => confirmed(job, error === null))
      } catch (error) {
        sent.delete(job)
        job.sent = false
        if (error instanceof IllegalOperationError) {
          waiting.unshift(...batch.slice(index))
          throw error
        }
        // Nothing of it was written. Those behind it have nothing to do with it.
        job.over = true
        job.refuse(error as Error)
      }
    }
    return hasRoom
  }

  const confirmed = (job: Job, taken: boolean) => {
    if (!taken) return void setImmediate(refused, job, channel)
    onAnswer?.()
    if (!sent.delete(job) || job.over) return
    if (job.returned) return unroutable(job)
    job.over = true
    job.done()
  }

  /** A channel that closes refuses what was not confirmed: that is no answer, and what it had is sent again (`openChannel`). */
  const refused = (job: Job, by: ConfirmChannel | undefined) => {
    if (by === undefined || channel !== by) return
    onAnswer?.()
    if (!sent.delete(job) || job.over) return
    if (job.returned) unroutable(job)
    else if (!isPutOff(job, 'not taken (basic.nack), as by a full queue')) notAtOnce(job)
  }

  const unroutable = (job: Job) => {
    topology.forget(job.queue)
    job.returned = false
    notAtOnce(job)
  }

  const notAtOnce = (job: Job) => void setTimeout(again, BACKOFF.firstMs, [job])

  const again = (jobs: readonly Job[]) => {
    for (const job of jobs) {
      sent.delete(job)
      if (!job.over) waiting.push(job)
    }
    if (waiting.length > 0) void pump()
  }

  const nextChange = () =>
    new Promise<void>((resolve) => {
      const stop = connection.onChange(() => {
        stop()
        resolve()
      })
    })

  const drained = (open: ConfirmChannel) =>
    new Promise<void>((resolve) => {
      const done = () => {
        open.off('drain', done)
        open.off('close', done)
        resolve()
      }
      open.on('drain', done)
      open.on('close', done)
    })

  const enqueue = (job: Job) => {
    waiting.push(job)
    void pump()
  }

  return {
    ...createAmqpSending(enqueue, log),
    close() {
      closed = true
    },
  }
}

/** Reply codes of a channel's exceptions (AMQP 0-9-1 §1.1): 403 ACCESS_REFUSED to 406 PRECONDITION_FAILED. */
const isRefused = (error: unknown): boolean => [403, 404, 405, 406].includes((error as { code?: number }).code ?? 0)
