import { type ConfirmChannel, IllegalOperationError } from 'amqplib'
import type { Log } from '../../log.ts'
import type { AmqpConnection } from './connection.ts'
import { apply, type Job } from './job.ts'
import { ACKED, CHANNEL_CLOSED, type JobEvent, RETURNED, WRITTEN } from './job-state.ts'

/** One confirm channel, and the jobs that it has written but that the server has not yet answered. */
export interface PublishChannel {
  readonly isOpen: boolean
  /**
   * Writes the jobs whose state is `waiting`. HOT.
   * @returns false if the socket is full
   * @throws IllegalOperationError if the channel is closed. Jobs that were not written stay in the state `waiting`
   */
  write(jobs: readonly Job[]): boolean
  /** Resolves when the socket has room again, or when the channel is closed. */
  drained(): Promise<void>
}

export interface PublishChannelOptions {
  readonly log: Log
  /** Called for every answer of the server, also for a refusal. */
  readonly onAnswer: () => void
  /** Called with jobs whose channel closed before the server answered. They must be sent again at once. */
  readonly onLost: (jobs: readonly Job[]) => void
  /** Called with a job that the server did not take and that waits again. `unroutable`: its queue does not exist. */
  readonly onUntaken: (job: Job, reason: { readonly unroutable: boolean }) => void
}

export async function openPublishChannel(connection: AmqpConnection, options: PublishChannelOptions): Promise<PublishChannel> {
  const { log, onAnswer, onLost, onUntaken } = options
  const unconfirmed = new Set<Job>()
  let isOpen = true
  const channel = await connection.createConfirmChannel()
  channel.on('error', (error) => log.debug({ reason: error.message }, 'publishing channel closed by RabbitMQ'))
  channel.on('return', ({ properties }) => {
    for (const job of unconfirmed) if (job.options.headers?.id === properties.headers?.id) apply(job, RETURNED)
  })
  channel.on('close', () => {
    isOpen = false
    const lost = [...unconfirmed]
    unconfirmed.clear()
    for (const job of lost) apply(job, CHANNEL_CLOSED)
    onLost(lost)
  })

  const answered = (job: Job, event: JobEvent) => {
    onAnswer()
    if (!unconfirmed.delete(job)) return
    const unroutable = job.state.tag === 'unconfirmed' && job.state.returned
    apply(job, event)
    if (job.state.tag === 'waiting') onUntaken(job, { unroutable })
  }

  /**
   * amqplib also reports a nack for every unconfirmed message of a channel that closes. The listener for `close` has already
   * handled these jobs.
   */
  const nacked = (job: Job) => {
    if (!isOpen) return
    const reason = 'not taken (basic.nack), as by a full queue'
    answered(job, { tag: 'queueRefused', reason, wait: job.waitsForQueue })
  }

  const publish = (job: Job): boolean => {
    const hasRoom = channel.publish('', job.queue, job.body, job.options, (error) => {
      if (error === null) answered(job, ACKED)
      else setImmediate(nacked, job)
    })
    unconfirmed.add(job)
    apply(job, WRITTEN)
    return hasRoom
  }

  return {
    get isOpen() {
      return isOpen
    },
    write(jobs) {
      let hasRoom = true
      for (const job of jobs) {
        if (job.state.tag !== 'waiting') continue
        try {
          hasRoom = publish(job)
        } catch (error) {
          if (error instanceof IllegalOperationError) throw error
          // No byte of this message was written, so the messages behind it are not affected.
          apply(job, { tag: 'unencodable', error: error as Error })
        }
      }
      return hasRoom
    },
    drained: () => drainedOrClosed(channel),
  }
}

const drainedOrClosed = (channel: ConfirmChannel) =>
  new Promise<void>((resolve) => {
    const done = () => {
      channel.off('drain', done)
      channel.off('close', done)
      resolve()
    }
    channel.on('drain', done)
    channel.on('close', done)
  })
