import { randomUUID } from 'node:crypto'
import { retry } from '../../concurrency/retry.ts'
import { AppError } from '../../errors.ts'
import type { Message } from '../../message/message.ts'
import type { Circuit } from '../circuit.ts'
import { isRedisConnectionError, type RedisConnection } from './connection.ts'
import { encodeEnvelope } from './envelope.ts'
import { bindingOf, listOf, type RedisKeys } from './keys.ts'
import { PUBLISH } from './scripts.ts'

const BACKOFF = { firstMs: 50, maxMs: 1000 }
/** Of one script: it runs alone on the server, and Lua passes at most 8,000 values on. */
const MAX_BATCH = 500
const MAX_BATCH_CHARS = 4 * 1024 * 1024
/** How long a publisher's last number is remembered; longer than any attempt is repeated. Seconds. */
const REMEMBER_S = 900

export interface RedisPublisher {
  /**
   * `patient`: waits its whole time also while it is known that nobody answers.
   * @throws AppError BROKER_UNREACHABLE, or MESSAGE_UNCONFIRMED when the server may have taken it all the same
   */
  publish(messages: readonly Message[], patient?: boolean): Promise<void>
  /** Says to kombu that these queues exist. */
  declare(queues: readonly string[]): Promise<void>
  /** Resolves when nothing is under way. */
  flush(): Promise<void>
}

interface Waiting {
  readonly list: string
  readonly text: string
  readonly timeoutMs: number
  readonly resolve: () => void
  readonly reject: (error: unknown) => void
}

/** Group commit as in PostgreSQL: what is handed in while a batch is under way leaves with the next. Confirmed by the reply. */
export function createRedisPublisher(
  connection: RedisConnection,
  options: { keys: RedisKeys; prefix: string; timeoutMs: number; circuit: Circuit },
): RedisPublisher {
  const { keys, prefix, circuit } = options
  const key = keys.publisher(randomUUID())
  const declared = new Set<string>()
  let waiting: Waiting[] = []
  let publishing: Promise<void> | undefined
  let number = 0

  const drain = async () => {
    while (waiting.length > 0) {
      const batch = nextBatch(waiting)
      waiting = waiting.slice(batch.length)
      try {
        await push(batch)
        for (const { resolve } of batch) resolve()
      } catch (error) {
        for (const { reject } of batch) reject(error)
        // Behind a batch that had no answer they would wait for as long again.
        if (circuit.isOpen) for (const { reject } of waiting.splice(0)) reject(away())
      }
    }
    publishing = undefined
  }

  /** Repeated also when only the answer was lost: the batch has a number, and the script takes each number once. */
  const push = async (batch: readonly Waiting[]) => {
    const lists = [...new Set(batch.map(({ list }) => list))]
    const places = new Map(lists.map((list, at) => [list, at + 1]))
    const pairs = batch.flatMap(({ list, text }) => [places.get(list) ?? 0, text])
    const args = [++number, REMEMBER_S, keys.wakeChannel, ...pairs]
    const timeoutMs = Math.max(...batch.map((each) => each.timeoutMs))
    await surely(() => connection.run(PUBLISH, [key, keys.sleepers, ...lists], args), timeoutMs)
  }

  const surely = async (attempt: () => Promise<unknown>, timeoutMs: number) => {
    const begunAt = performance.now()
    const giveUpAt = begunAt + timeoutMs
    let unanswered = false
    const once = async () => {
      await connection.ready(Math.max(1, giveUpAt - performance.now()))
      try {
        return await answered(heard(attempt()), giveUpAt - performance.now())
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

  const heard = async <T>(asked: Promise<T>): Promise<T> => {
    const answer = await asked
    circuit.heard()
    return answer
  }

  const declare = async (queues: readonly string[], timeoutMs = options.timeoutMs) => {
    const fresh = queues.filter((queue) => !declared.has(queue))
    if (fresh.length === 0) return
    for (const queue of fresh) declared.add(queue)
    try {
      await surely(() => connection.pipeline(fresh.map((queue) => ['SADD', ...bindingOf(prefix, queue)] as const)), timeoutMs)
    } catch (error) {
      for (const queue of fresh) declared.delete(queue)
      throw error
    }
  }

  return {
    async publish(messages, patient = false) {
      // What is under way tries already.
      if (circuit.isOpen && !patient && publishing !== undefined) throw away()
      const timeoutMs = patient ? options.timeoutMs : circuit.waitMs()
      if (circuit.isOpen && timeoutMs === 0) throw away()
      await declare([...new Set(messages.map(({ queue }) => queue))], timeoutMs)
      const all = messages.map((message) => {
        const { text, wirePriority } = encodeEnvelope(message, randomUUID())
        const list = listOf(prefix, message.queue, wirePriority)
        return new Promise<void>((resolve, reject) => waiting.push({ list, text, timeoutMs, resolve, reject }))
      })
      publishing ??= drain()
      await Promise.all(all)
    },
    declare: (queues) => declare(queues),
    async flush() {
      await publishing
    },
  }
}

const away = () => new AppError('BROKER_UNREACHABLE', 'Redis did not answer the calls before this one')

/** A network that swallows everything: the connection looks well, and TCP alone would find out after a quarter of an hour. */
function answered<T>(asked: Promise<T>, withinMs: number): Promise<T> {
  return new Promise((resolve, reject) => {
    const refuse = () => reject(new AppError('MESSAGE_UNCONFIRMED', `Redis did not answer within ${Math.round(withinMs)} ms`))
    const timer = setTimeout(refuse, Math.max(1, withinMs))
    asked.then(resolve, reject).finally(() => clearTimeout(timer))
  })
}

function nextBatch(waiting: readonly Waiting[]): Waiting[] {
  let chars = 0
  let count = 0
  while (count < Math.min(MAX_BATCH, waiting.length) && chars < MAX_BATCH_CHARS) chars += waiting[count++]?.text.length ?? 0
  return waiting.slice(0, count)
}
