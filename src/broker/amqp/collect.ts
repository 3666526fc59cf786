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
import { withAnswerTimeout } from './answer-timeout.ts'
import type { AmqpConnection } from './connection.ts'

const BACKOFF = { firstMs: 100, maxMs: 5000 }
/** Most replies in memory while the database is slow or away. Further replies wait in RabbitMQ. */
const PREFETCH = 200
/**
 * RabbitMQ deletes the reply queue this long after the last process of the application disconnected, as with Celery's own reply
 * queues. Milliseconds.
 */
const EXPIRES_MS = 86_400_000
/** The longest short string of AMQP 0-9-1, in bytes. */
const MAX_SHORT = 255
/** AMQP 0-9-1 reply codes: ACCESS_REFUSED, RESOURCE_LOCKED, PRECONDITION_FAILED. */
const REFUSALS = [403, 405, 406]
/**
 * Timeout for storing results when the process ends. RabbitMQ delivers results that are not stored to another process.
 * Milliseconds.
 */
const CLOSE_MS = 1000

/** Results of workers that reply by rpc:// (RESULT_COLLECT=on), for all processes of this application. */
export interface AmqpCollect {
  /**
   * Resolves when replies can arrive, or when RabbitMQ refuses the reply queue (logged). Rejects if the connection breaks; the
   * call may be repeated.
   */
  ready(): Promise<void>
  /** Adds the reply address to the messages. Returns them unchanged if the database does not give the address within `withinMs`. */
  addressed(messages: readonly Message[], withinMs: number): Promise<readonly Message[]>
  close(): Promise<void>
}

interface CollectParts {
  readonly database: Database
  readonly log: Log
}

/**
 * Uses one reply queue for the whole application, where Celery has one for each sender. Any process stores a result in the
 * database, where all processes read it, so no result is lost if its sender ends or a connection breaks. The queue is durable,
 * because RabbitMQ 4.3 has no other queues that outlive a connection. A reply is acknowledged after it is stored.
 */
export function createAmqpCollect(connection: AmqpConnection, { database, log }: CollectParts): AmqpCollect {
  const collector = createOutcomeCollector<{ channel: Channel; raw: ConsumeMessage }>(database, log, (batch) => {
    for (const { tag } of batch) ack(tag)
  })

  /** Acknowledges a reply. If the channel is closed, RabbitMQ delivers the reply again, and storing it again changes nothing. */
  const ack = ({ channel, raw }: { channel: Channel; raw: ConsumeMessage }) => {
    try {
      channel.ack(raw)
    } catch (error) {
      log.debug({ reason: (error as Error).message }, 'reply not acknowledged, it comes again')
    }
  }

  const replies = createReplyChannel(connection, {
    database,
    log,
    onReply(channel, raw) {
      const outcome = readResultDocument(raw.content.toString(), knownTask(raw.properties.correlationId))
      if (outcome === undefined) ack({ channel, raw })
      else collector.add(outcome, { channel, raw })
    },
  })

  return {
    ready: replies.ready,
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
    close: () => replies.close(() => waitAtMost(collector.flush(), CLOSE_MS)),
  }
}

interface ReplyChannelParts extends CollectParts {
  readonly onReply: (channel: Channel, raw: ConsumeMessage) => void
}

/** The channel that consumes from the reply queue. Opens again after it closed. */
function createReplyChannel(connection: AmqpConnection, { database, log, onReply }: ReplyChannelParts) {
  const ending = new AbortController()
  let opening: Promise<Channel> | undefined
  let refused = false

  const open = async (): Promise<Channel> => {
    const queue = await replyAddress(database)
    const channel = await connection.createChannel()
    channel.on('error', (error) => log.debug({ reason: error.message }, 'reply channel closed by RabbitMQ'))
    channel.on('close', () => {
      opening = undefined
      void reopen()
    })
    await withAnswerTimeout('the reply queue', consume(channel, queue)).catch((error) => {
      channel.close().catch(() => {})
      throw error
    })
    return channel
  }

  const consume = async (channel: Channel, queue: string) => {
    await channel.prefetch(PREFETCH)
    await channel.assertQueue(queue, { durable: true, expires: EXPIRES_MS })
    await channel.consume(queue, (raw) => {
      if (raw !== null) onReply(channel, raw)
    })
  }

  /** Opens the channel again at once, not with the next message to send, because results of earlier messages may arrive. */
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
      // A refusal is logged but not thrown, so tasks are sent although their results cannot be collected.
      if (!refused) log.error({ reason: (error as Error).message }, 'RabbitMQ refuses the reply queue, no results are collected')
      refused = true
    }
  }

  return {
    ready,
    /** @param beforeClose resolves when the replies that arrived are acknowledged */
    async close(beforeClose: () => Promise<unknown>) {
      ending.abort()
      const channel = await opening?.catch(() => undefined)
      if (channel === undefined) return
      await beforeClose()
      await withAnswerTimeout('the end of a channel', channel.close()).catch(() => {})
    },
  }
}

/**
 * Adds the reply address to a message, unless it ignores its result or already has a reply address. The tasks that may follow it
 * always receive the address.
 */
function withAddress(given: Message, address: string): Message {
  const message = withFollowersAddressed(given, address)
  const { headers, properties } = message
  if (headers.ignore_result === true || properties.reply_to !== undefined) return message
  return { ...message, properties: { ...properties, reply_to: address, correlation_id: correlationOf(message) } }
}

/**
 * Returns a correlation id that contains the name of the task and its queue. A reply does not name its task, and the process
 * that receives the reply may not be the sender, but workers return the correlation id unchanged
 * (docs/internals/wire-protocol.md).
 */
export function correlationOf({ headers, queue }: Message): string {
  const text = [headers.id, headers.task, queue].join('\t')
  return Buffer.byteLength(text) <= MAX_SHORT ? text : headers.id
}

/** Reads a correlation id that `correlationOf` made. @returns undefined for any other correlation id */
export function knownTask(correlationId: unknown): KnownTask | undefined {
  const [, task, queue] = typeof correlationId === 'string' ? correlationId.split('\t') : []
  return task === undefined ? undefined : { task, queue: queue ?? null }
}
