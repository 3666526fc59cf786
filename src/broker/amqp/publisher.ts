import { createPump } from '../../concurrency/pump.ts'
import type { Log } from '../../log.ts'
import { type AmqpConnection, nextChange } from './connection.ts'
import { apply, type Job } from './job.ts'
import { openPublishChannel, type PublishChannel } from './publish-channel.ts'
import { type AmqpSending, createAmqpSending } from './sending.ts'
import type { AmqpTopology } from './topology.ts'

const BACKOFF = { firstMs: 50, maxMs: 2000 }
/** Most messages that are written between two checks of the socket. Limits the memory that messages for a slow server use. */
const MAX_BATCH = 500
/** Pause before a refused queue is declared again. Milliseconds. */
const REFUSED_QUEUE_MS = 500

export interface AmqpPublisherOptions {
  readonly connection: AmqpConnection
  readonly topology: AmqpTopology
  readonly log: Log
  /** Resolves when messages may be sent, because the reply queue exists. undefined: there is no reply queue. */
  readonly beforeSending: (() => Promise<void>) | undefined
  /** Called for every answer of the server, also for a refusal. */
  readonly onAnswer: () => void
}

/** Publishes on one confirm channel. Messages of one turn of the event loop are sent together. */
export function createAmqpPublisher(options: AmqpPublisherOptions): AmqpSending {
  const { connection, log, beforeSending, onAnswer } = options
  const declareQueues = createQueueDeclarer(options)
  let waiting: Job[] = []
  let channel: PublishChannel | undefined

  const pump = createPump({
    hasWork: () => waiting.length > 0,
    turn: async () => {
      const open = await openChannel()
      while (connection.blockedSince !== undefined) await nextChange(connection)
      if (!(await publishBatch(open))) await open.drained()
    },
    onFailure(error) {
      log.debug({ reason: (error as Error).message }, 'could not publish to RabbitMQ, trying again')
      waiting = waiting.filter(isWaiting)
    },
    backoff: BACKOFF,
  })

  const openChannel = async (): Promise<PublishChannel> => {
    if (channel?.isOpen) return channel
    channel = await openPublishChannel(connection, {
      log,
      onAnswer,
      onLost: again,
      onUntaken(job, { unroutable }) {
        if (unroutable) options.topology.forget(job.queue)
        setTimeout(again, BACKOFF.firstMs, [job])
      },
    })
    return channel
  }

  /** Declares the queues of the next jobs and writes these jobs. @returns false if the socket is full */
  const publishBatch = async (open: PublishChannel): Promise<boolean> => {
    const batch = waiting.splice(0, MAX_BATCH)
    let unwritten = batch
    try {
      const refusals = await declareQueues(batch)
      await beforeSending?.()
      if (refusals.size > 0) unwritten = withoutRefused(batch, refusals)
      return open.write(unwritten)
    } catch (error) {
      waiting.unshift(...unwritten.filter(isWaiting))
      throw error
    }
  }

  /**
   * Returns the jobs whose queues are not refused. Jobs of refused queues wait separately, so that they do not delay other jobs.
   */
  const withoutRefused = (batch: readonly Job[], refusals: ReadonlyMap<string, string>): Job[] => {
    const refused = batch.filter(({ queue }) => refusals.has(queue))
    for (const job of refused) apply(job, { tag: 'queueRefused', reason: refusals.get(job.queue)!, wait: job.waitsForQueue })
    const later = refused.filter(isWaiting)
    if (later.length > 0) setTimeout(again, REFUSED_QUEUE_MS, later)
    return batch.filter(({ queue }) => !refusals.has(queue))
  }

  const again = (jobs: readonly Job[]) => {
    for (const job of jobs) if (isWaiting(job)) waiting.push(job)
    pump.wakeNow()
  }

  const enqueue = (job: Job) => {
    waiting.push(job)
    pump.wakeNow()
  }

  return createAmqpSending(enqueue, log)
}

const isWaiting = ({ state }: Job) => state.tag === 'waiting'

/**
 * @returns a function that declares the queues of a batch. It resolves with the reason of the refusal for each refused queue,
 * and rejects for other failures
 */
function createQueueDeclarer({ topology, log, onAnswer }: AmqpPublisherOptions) {
  /** Refused queues that have been logged. A queue is not logged again until the server has accepted it. */
  const logged = new Set<string>()

  const refusalOf = async (queue: string): Promise<string | undefined> => {
    try {
      await topology.declare(queue)
      logged.delete(queue)
      return undefined
    } catch (error) {
      if (!isRefused(error)) throw error
      onAnswer()
      return (error as Error).message
    }
  }

  return async (batch: readonly Job[]): Promise<ReadonlyMap<string, string>> => {
    const waits = new Map<string, boolean>()
    // Replies are not mandatory and are skipped: their queues belong to the clients.
    for (const { queue, options, waitsForQueue } of batch)
      if (options.mandatory === true) waits.set(queue, waitsForQueue || waits.get(queue) === true)
    const refusals = new Map<string, string>()
    for (const [queue, waitsForQueue] of waits) {
      const reason = await refusalOf(queue)
      if (reason === undefined) continue
      refusals.set(queue, reason)
      if (!waitsForQueue || logged.has(queue)) continue
      logged.add(queue)
      log.warn({ queue, reason }, 'RabbitMQ refuses a queue, its messages wait')
    }
    return refusals
  }
}

/** Returns true for the reply codes of channel exceptions (AMQP 0-9-1 §1.1), 403 ACCESS_REFUSED to 406 PRECONDITION_FAILED. */
const isRefused = (error: unknown): boolean => [403, 404, 405, 406].includes((error as { code?: number }).code ?? 0)
