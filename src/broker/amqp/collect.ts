import type { Channel, ConsumeMessage } from 'amqplib'
import { pauseMs } from '../../concurrency/retry.ts'
import { sleep } from '../../concurrency/sleep.ts'
import { waitAtMost, withTimeout } from '../../concurrency/with-timeout.ts'
import type { Database } from '../../database/database.ts'
import type { Log } from '../../log.ts'
import type { Message } from '../../message/message.ts'
import { type KnownTask, readResultDocument } from '../celery-results/document.ts'
import { withFollowersAddressed } from '../celery-results/followers.ts'
import { createOutcomeCollector } from '../celery-results/store.ts'
import { replyAddress } from '../reply-address.ts'
import type { AmqpConnection } from './connection.ts'
import { withAnswerTimeout } from './timeout.ts'

const BACKOFF = { firstMs: 100, maxMs: 5000 }
/** Replies in memory while the database is slow or away; the rest waits in RabbitMQ. */
const PREFETCH = 200
/** As Celery's own reply queues: so long after the last process of the application it is gone. Milliseconds. */
const EXPIRES_MS = 86_400_000
/** AMQP 0-9-1: a short string has at most 255 bytes. */
const MAX_SHORT = 255
/** AMQP 0-9-1 reply codes: ACCESS_REFUSED, RESOURCE_LOCKED, PRECONDITION_FAILED. */
const REFUSALS = [403, 405, 406]
/** For what is being stored when the process ends; more of it comes again elsewhere. Milliseconds. */
const CLOSE_MS = 1000

/** Results of workers that answer by rpc:// (RESULT_COLLECT=on), for all processes of this application. */
export interface AmqpCollect {
  /** Resolves when replies can arrive, or never will, which the log says. Rejects when the connection breaks: then it is to be called again. */
  ready(): Promise<void>
  /** The messages with the address for their results. As they are when the database does not tell it within `withinMs`. */
  addressed(messages: readonly Message[], withinMs: number): Promise<readonly Message[]>
  close(): Promise<void>
}

/**
 * One queue for the application, not one for each sender as in Python: any of its processes stores a result that all of them read in the
 * database, so that none is lost with the process that sent the task, nor while a connection is away. Durable, because RabbitMQ 4.3
 * has no other queues that outlive a connection; acknowledged when stored.
 */
export function createAmqpCollect(
  connection: AmqpConnection,
  { database, log }: { readonly database: Database; readonly log: Log },
): AmqpCollect {
  const ending = new AbortController()
  let opening: Promise<Channel> | undefined
  let refused = false

  const collector = createOutcomeCollector<{ channel: Channel; raw: ConsumeMessage }>(database, log, (batch) => {
    for (const { tag } of batch) ack(tag)
  })

  /** A channel that is gone has given back what it held: it comes again, and changes nothing. */
  const ack = ({ channel, raw }: { channel: Channel; raw: ConsumeMessage }) => {
    try {
      channel.ack(raw)
    } catch (error) {
      log.debug({ reason: (error as Error).message }, 'reply not acknowledged, it comes again')
    }
  }

  const hear = (channel: Channel, raw: ConsumeMessage | null) => {
    if (raw === null) return
    const outcome = readResultDocument(raw.content.toString(), knownTask(raw.properties.correlationId))
    if (outcome === undefined) ack({ channel, raw })
    else collector.add(outcome, { channel, raw })
  }

  const open = async (): Promise<Channel> => {
    const queue = await replyAddress(database)
    const channel = await connection.createChannel()
    channel.on('error', (error) => log.debug({ reason: error.message }, 'reply channel closed by RabbitMQ'))
    channel.on('close', () => {
      opening = undefined
      void reopen()
    })
    await withAnswerTimeout('the reply queue', listen(channel, queue)).catch((error) => {
      channel.close().catch(() => {})
      throw error
    })
    return channel
  }

  const listen = async (channel: Channel, queue: string) => {
    await channel.prefetch(PREFETCH)
    await channel.assertQueue(queue, { durable: true, expires: EXPIRES_MS })
    await channel.consume(queue, (raw) => hear(channel, raw))
  }

  /** Results of what was sent before are waited for too, not only when the next message is sent. */
  const reopen = async () => {
    for (let attempt = 0; opening === undefined && !ending.signal.aborted && !connection.closed; ) {
      if (!(await sleep(pauseMs(attempt++, BACKOFF), ending.signal))) return
      await ready().catch((error) => log.debug({ reason: error.message }, 'no replies can be heard now, trying again'))
    }
  }

  const ready = async () => {
    const asked = opening ?? open()
    opening = asked
    try {
      await asked
    } catch (error) {
      if (opening === asked) opening = undefined
      if (!REFUSALS.includes((error as { code?: number }).code ?? 0)) throw error
      // Tasks are more than their results: they are sent all the same.
      if (!refused) log.error({ reason: (error as Error).message }, 'RabbitMQ refuses the reply queue, no results are collected')
      refused = true
    }
  }

  return {
    ready,
    async addressed(messages, withinMs) {
      const asked = replyAddress(database).catch(() => undefined)
      const address = await withTimeout(asked, withinMs, () => undefined)
      if (address !== undefined) return messages.map((message) => withAddress(message, address))
      log.warn(
        { messages: messages.length },
        'the database does not answer: results of these tasks by other workers will not be collected',
      )
      return messages
    },
    async close() {
      ending.abort()
      const channel = await opening?.catch(() => undefined)
      if (channel === undefined) return
      await waitAtMost(collector.flush(), CLOSE_MS)
      await withAnswerTimeout('the end of a channel', channel.close()).catch(() => {})
    },
  }
}

/** A message that asks for no result, or whose result goes elsewhere, stays as it is, but for what follows from it. */
function withAddress(given: Message, address: string): Message {
  const message = withFollowersAddressed(given, address)
  const { headers, properties } = message
  if (headers.ignore_result === true || properties.reply_to !== undefined) return message
  return { ...message, properties: { ...properties, reply_to: address, correlation_id: correlationOf(message) } }
}

/**
 * A reply does not say which task it is of, and who hears it need not be who sent it. But workers send the correlation id back as it came
 * (reference/celery-protocol.md §3.2), so it carries the name of the task beside its id.
 */
export function correlationOf({ headers, queue }: Message): string {
  const text = [headers.id, headers.task, queue].join('\t')
  return Buffer.byteLength(text) <= MAX_SHORT ? text : headers.id
}

/** What `correlationOf` wrote; undefined for any other. */
export function knownTask(correlationId: unknown): KnownTask | undefined {
  const [, task, queue] = typeof correlationId === 'string' ? correlationId.split('\t') : []
  return task === undefined ? undefined : { task, queue: queue ?? null }
}
