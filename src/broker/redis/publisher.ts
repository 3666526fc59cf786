import { randomUUID } from 'node:crypto'
import { createPump } from '../../concurrency/pump.ts'
import { retry } from '../../concurrency/retry.ts'
import { withTimeout } from '../../concurrency/with-timeout.ts'
import { AppError } from '../../errors.ts'
import type { Message } from '../../message/message.ts'
import type { Circuit } from '../circuit.ts'
import { isRedisConnectionError, type RedisConnection } from './connection.ts'
import { encodeEnvelope } from './envelope.ts'
import { bindingOf, listOf, type RedisKeys } from './keys.ts'
import { PUBLISH } from './scripts.ts'

const BACKOFF = { firstMs: 50, maxMs: 1000 }
/** Most messages in one call of the script. The script blocks the server while it runs, and Lua unpacks at most 8,000 values. */
const MAX_BATCH = 500
const MAX_BATCH_CHARS = 4 * 1024 * 1024
/** Redis keeps the last batch number of a publisher for this time, which is longer than any batch is repeated. Seconds. */
const REMEMBER_S = 900

export interface RedisPublisher {
  /**
   * Publishes messages. `patient`: waits for the whole timeout even if Redis is known not to answer.
   * @throws AppError BROKER_UNREACHABLE, or MESSAGE_UNCONFIRMED if the server may have taken the messages
   */
  publish(messages: readonly Message[], patient?: boolean): Promise<void>
  /** Makes queues visible to kombu. */
  declare(queues: readonly string[]): Promise<void>
  /** Resolves when no batch is under way. */
  flush(): Promise<void>
}

export interface RedisPublisherOptions {
  readonly keys: RedisKeys
  readonly prefix: string
  readonly timeoutMs: number
  readonly circuit: Circuit
}

interface Waiting {
  readonly list: string
  readonly text: string
  readonly timeoutMs: number
  readonly resolve: () => void
  readonly reject: (error: unknown) => void
}

/**
 * Publishes messages in batches, one batch at a time. Messages that arrive during a batch are sent with the next batch. The
 * reply of the script confirms the batch.
 */
export function createRedisPublisher(connection: RedisConnection, options: RedisPublisherOptions): RedisPublisher {
  const { keys, prefix, circuit } = options
  const key = keys.publisher(randomUUID())
  const attempt = createAttempts(connection, circuit)
  const declare = createDeclarer(connection, prefix, attempt)
  let waiting: Waiting[] = []
  let number = 0

  const pushNext = async () => {
    const batch = nextBatch(waiting)
    waiting = waiting.slice(batch.length)
    try {
      await push(batch)
      for (const { resolve } of batch) resolve()
    } catch (error) {
      for (const { reject } of batch) reject(error)
      // The batch got no answer. Waiting messages are rejected at once, because otherwise they would wait for another timeout.
      if (circuit.isOpen) for (const { reject } of waiting.splice(0)) reject(away())
    }
  }

  /**
   * Pushes a batch. The push may be repeated even if only the reply was lost, because the batch has a number and the script
   * accepts each number once.
   */
  const push = async (batch: readonly Waiting[]) => {
    const lists = [...new Set(batch.map(({ list }) => list))]
    const positions = new Map(lists.map((list, at) => [list, at + 1]))
    const pairs = batch.flatMap(({ list, text }) => [positions.get(list) ?? 0, text])
    const args = [++number, REMEMBER_S, keys.wakeChannel, ...pairs]
    const timeoutMs = Math.max(...batch.map((each) => each.timeoutMs))
    await attempt(() => connection.run(PUBLISH, [key, keys.sleepers, ...lists], args), timeoutMs)
  }

  const pump = createPump({ hasWork: () => waiting.length > 0, turn: pushNext })

  return {
    async publish(messages, patient = false) {
      // Redis does not answer, and the batch under way already tries to reach it, so this call does not wait.
      if (circuit.isOpen && !patient && pump.running) throw away()
      const timeoutMs = patient ? options.timeoutMs : circuit.waitMs()
      if (circuit.isOpen && timeoutMs === 0) throw away()
      await declare([...new Set(messages.map(({ queue }) => queue))], timeoutMs)
      const all = messages.map((message) => {
        const { text, wirePriority } = encodeEnvelope(message, randomUUID())
        const list = listOf(prefix, message.queue, wirePriority)
        return new Promise<void>((resolve, reject) => waiting.push({ list, text, timeoutMs, resolve, reject }))
      })
      pump.wakeNow()
      await Promise.all(all)
    },
    declare: (queues) => declare(queues, options.timeoutMs),
    flush: () => pump.idle(),
  }
}

type Attempt = (work: () => Promise<unknown>, timeoutMs: number) => Promise<void>

/** @returns a function that repeats `work` until it succeeds or times out, and reports to the circuit whether Redis answers */
function createAttempts(connection: RedisConnection, circuit: Circuit): Attempt {
  const heard = async <T>(asked: Promise<T>): Promise<T> => {
    const answer = await asked
    circuit.heard()
    return answer
  }

  return async (work, timeoutMs) => {
    const begunAt = performance.now()
    const giveUpAt = begunAt + timeoutMs
    let unanswered = false
    const once = async () => {
      await connection.ready(Math.max(1, giveUpAt - performance.now()))
      try {
        return await answered(heard(work()), giveUpAt - performance.now())
      } catch (error) {
        unanswered ||= isRedisConnectionError(error)
        throw error
      }
    }
    try {
      await retry(once, { ...BACKOFF, isRetryable: isRedisConnectionError, giveUpAfterMs: timeoutMs })
    } catch (cause) {
      if (isRedisConnectionError(cause) || (cause as { code?: unknown }).code === 'MESSAGE_UNCONFIRMED')
        circuit.unanswered(begunAt)
      if (cause instanceof AppError && cause.code !== 'BROKER_UNREACHABLE') throw cause
      const code = unanswered ? 'MESSAGE_UNCONFIRMED' : 'BROKER_UNREACHABLE'
      throw new AppError(code, `Redis did not take the message: ${(cause as Error).message}`, { cause })
    }
  }
}

/** @returns a function that declares queues as kombu does. Each queue is declared once */
function createDeclarer(connection: RedisConnection, prefix: string, attempt: Attempt) {
  const declared = new Set<string>()
  return async (queues: readonly string[], timeoutMs: number) => {
    const fresh = queues.filter((queue) => !declared.has(queue))
    if (fresh.length === 0) return
    for (const queue of fresh) declared.add(queue)
    try {
      await attempt(() => connection.pipeline(fresh.map((queue) => ['SADD', ...bindingOf(prefix, queue)] as const)), timeoutMs)
    } catch (error) {
      for (const queue of fresh) declared.delete(queue)
      throw error
    }
  }
}

const away = () => new AppError('BROKER_UNREACHABLE', 'Redis did not answer the calls before this one')

/**
 * Rejects if no answer arrives in time. If the network drops all packets, the connection stays open, and TCP alone would notice
 * after a quarter of an hour.
 */
const answered = <T>(asked: Promise<T>, withinMs: number): Promise<T> =>
  withTimeout(asked, Math.max(1, withinMs), () => {
    throw new AppError('MESSAGE_UNCONFIRMED', `Redis did not answer within ${Math.round(withinMs)} ms`)
  })

function nextBatch(waiting: readonly Waiting[]): Waiting[] {
  let chars = 0
  let count = 0
  while (count < Math.min(MAX_BATCH, waiting.length) && chars < MAX_BATCH_CHARS) chars += waiting[count++]?.text.length ?? 0
  return waiting.slice(0, count)
}
