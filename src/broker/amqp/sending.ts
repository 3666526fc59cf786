import type { Log } from '../../log.ts'
import type { Message } from '../../message/message.ts'
import { encodeJob, type Job, MAX_SHORT_BYTES, unsendable } from './job.ts'

/** The sender of a reply does not wait for it; one that cannot be sent for so long has nobody left who does. */
const REPLY_TTL_MS = 60_000

/** A message that was not confirmed in time. */
export interface Unconfirmed {
  readonly message: Message
  /** It left this process: the server may have taken it all the same. */
  readonly sent: boolean
  /** It can never be sent, and why. */
  readonly refused?: Error | undefined
  /** Its queue is refused, or full, and what the server says: those of other queues may be taken. */
  readonly putOff?: string | undefined
}

export interface SendOptions {
  /** What the server does not take because of its queue is not offered again, but `putOff`. */
  readonly putOff?: boolean
}

/** Hands messages to a publisher, and tells whoever waits what became of them. */
export interface AmqpSending {
  /**
   * Sends, and sends again after a lost connection, a refusal of a full queue, or a queue that had vanished.
   * @returns those that were not confirmed within `timeoutMs`
   */
  send(messages: readonly Message[], timeoutMs: number, options?: SendOptions): Promise<Unconfirmed[]>
  /** Answers a client that waits for a result (rpc://); dropped by the server when the client is gone. */
  reply(to: string, correlationId: string, body: string): void
  /** Every `send` that waits now waits no longer. */
  giveUp(): void
}

/** @param enqueue for the next turn of the publisher; it calls `done`, `putOff` or `refuse` once, unless the job is `over` before */
export function createAmqpSending(enqueue: (job: Job) => void, log: Log): AmqpSending {
  const givesUp = new Set<() => void>()

  return {
    send(messages, timeoutMs, options) {
      if (timeoutMs <= 0) return Promise.resolve(messages.map((message) => unconfirmed(message, false)))
      return new Promise((resolve) => {
        const left = new Map<Job, Message>()
        const refused: Unconfirmed[] = []
        const end = () => {
          clearTimeout(timer)
          givesUp.delete(end)
          for (const job of left.keys()) job.over = true
          resolve([...refused, ...[...left].map(([{ sent }, message]) => unconfirmed(message, sent))])
        }
        const timer = setTimeout(end, timeoutMs)
        givesUp.add(end)
        const finish = (job: Job) => {
          left.delete(job)
          if (left.size === 0) end()
        }
        for (const message of messages) {
          const refuse = (reason: Error) => {
            refused.push({ message, sent: false, refused: reason })
            finish(job)
          }
          const putOff = (reason: string) => {
            refused.push({ message, sent: false, putOff: reason })
            finish(job)
          }
          const job: Job = {
            ...encodeJob(message),
            ...{ over: false, returned: false, sent: false, refuse },
            done: () => finish(job),
            putOff: options?.putOff === true ? putOff : undefined,
          }
          left.set(job, message)
        }
        for (const job of [...left.keys()])
          if (Buffer.byteLength(job.queue) <= MAX_SHORT_BYTES) enqueue(job)
          else job.refuse(unsendable(left.get(job)!)!)
        if (left.size === 0) end()
      })
    },
    reply(to, correlationId, body) {
      const options = { contentType: 'application/json', contentEncoding: 'utf-8', deliveryMode: 1, priority: 0, correlationId }
      const job: Job = {
        queue: to,
        body: Buffer.from(body),
        options,
        over: false,
        returned: false,
        sent: false,
        putOff: undefined,
        done: () => clearTimeout(timer),
        refuse(reason) {
          clearTimeout(timer)
          log.error({ to, correlationId, reason: reason.message }, 'a reply cannot be sent')
        },
      }
      const timer = setTimeout(() => {
        job.over = true
      }, REPLY_TTL_MS).unref()
      enqueue(job)
    },
    giveUp() {
      for (const end of [...givesUp]) end()
    },
  }
}

/** Nobody may find out later that it can never be sent: whoever has sent it is told now. */
const unconfirmed = (message: Message, sent: boolean): Unconfirmed => ({
  message,
  sent,
  refused: sent ? undefined : unsendable(message),
})
