import type { Log } from '../../log.ts'
import type { Message } from '../../message/message.ts'
import { apply, encodeJob, type Job, MAX_SHORT_BYTES, unsendable } from './job.ts'
import { ABANDONED, isMaybeTaken, type JobEnd, WAITING } from './job-state.ts'

/** A reply that cannot be sent for this long is dropped, because its client no longer waits. Milliseconds. */
const REPLY_TTL_MS = 60_000

/** A message that was not confirmed in time. */
export interface Unconfirmed {
  readonly message: Message
  /** The message left this process, so the server may have it. */
  readonly sent: boolean
  /** The reason why AMQP can never carry the message. undefined: AMQP can carry it. */
  readonly refused?: Error | undefined
  /** The server's reason to refuse the queue of this message. undefined: the queue was not refused. */
  readonly putOff?: string | undefined
}

export interface SendOptions {
  /**
   * True: if the server refuses the queue of a message, `send` returns the message with the reason in `putOff` instead of trying
   * it again.
   */
  readonly putOff?: boolean
}

/** Gives messages to a publisher and reports how each one ended. */
export interface AmqpSending {
  /**
   * Sends messages. Sends a message again after a lost connection, a refusal by a full queue, or the deletion of its queue.
   * @returns the messages that were not confirmed within `timeoutMs`
   */
  send(messages: readonly Message[], timeoutMs: number, options?: SendOptions): Promise<Unconfirmed[]>
  /** Sends a result to a client (rpc://). The server drops the reply if the client is gone. */
  reply(to: string, correlationId: string, body: string): void
  /** Ends every pending `send` as if its timeout had passed. */
  giveUp(): void
}

/** @param enqueue gives a job to the publisher, which applies the events that change its state */
export function createAmqpSending(enqueue: (job: Job) => void, log: Log): AmqpSending {
  const pending = new Set<() => void>()

  const send: AmqpSending['send'] = (messages, timeoutMs, options) => {
    if (timeoutMs <= 0) return Promise.resolve(messages.map((message) => unconfirmed(message, false)))
    return new Promise((resolve) => {
      const left = new Map<Job, Message>()
      const refused: Unconfirmed[] = []
      const finish = () => {
        clearTimeout(timer)
        pending.delete(finish)
        const late = [...left].map(([{ state }, message]) => unconfirmed(message, isMaybeTaken(state)))
        const jobs = [...left.keys()]
        left.clear()
        for (const job of jobs) apply(job, ABANDONED)
        resolve([...refused, ...late])
      }
      const timer = setTimeout(finish, timeoutMs)
      pending.add(finish)
      const ended = (job: Job, end: JobEnd) => {
        const message = left.get(job)
        if (message === undefined) return
        left.delete(job)
        if (end.tag === 'refused') refused.push({ message, sent: false, refused: end.reason })
        if (end.tag === 'putOff') refused.push({ message, sent: false, putOff: end.reason })
        if (left.size === 0) finish()
      }
      for (const message of messages) {
        const onEnd = (end: JobEnd) => ended(job, end)
        const job: Job = { ...encodeJob(message), state: WAITING, waitsForQueue: options?.putOff !== true, onEnd }
        left.set(job, message)
      }
      for (const [job, message] of [...left])
        if (Buffer.byteLength(job.queue) <= MAX_SHORT_BYTES) enqueue(job)
        else apply(job, { tag: 'unencodable', error: unsendable(message)! })
      if (left.size === 0) finish()
    })
  }

  const reply: AmqpSending['reply'] = (to, correlationId, body) => {
    const options = { contentType: 'application/json', contentEncoding: 'utf-8', deliveryMode: 1, priority: 0, correlationId }
    const job: Job = {
      queue: to,
      body: Buffer.from(body),
      options,
      state: WAITING,
      waitsForQueue: true,
      onEnd(end) {
        clearTimeout(timer)
        if (end.tag === 'refused') log.error({ to, correlationId, reason: end.reason.message }, 'reply cannot be sent')
      },
    }
    const timer = setTimeout(apply, REPLY_TTL_MS, job, ABANDONED).unref()
    enqueue(job)
  }

  return {
    send,
    reply,
    giveUp() {
      for (const finish of [...pending]) finish()
    },
  }
}

/**
 * A message that can never be sent is reported as refused at once, even during an outage. Otherwise its sender would never learn
 * of the refusal.
 */
const unconfirmed = (message: Message, sent: boolean): Unconfirmed => ({
  message,
  sent,
  refused: sent ? undefined : unsendable(message),
})
