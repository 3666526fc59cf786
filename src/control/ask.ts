import { randomUUID } from 'node:crypto'
import type { ControlMessage, ControlTransport } from '../broker/control-transport.ts'
import type { Arguments } from './panel.ts'

export interface Question {
  readonly method: string
  readonly given: Arguments
  /** Names of the workers to ask; undefined means all workers. */
  readonly destination?: readonly string[] | undefined
  /**
   * Time to wait for answers, in milliseconds. Without `destination` the whole time is used, because the number of workers is
   * not known. 0 means that no answer is wanted.
   */
  readonly timeoutMs: number
  /** Called with each answer when it arrives. */
  readonly onAnswer?: ((worker: string, answer: unknown) => void) | undefined
}

/** Asks workers, in Node.js or Python. @returns their answers by worker name. Workers that did not answer are absent. */
export async function askWorkers(transport: ControlTransport, question: Question): Promise<Map<string, unknown>> {
  const { method, given, destination, timeoutMs, onAnswer } = question
  const body = { method, arguments: given, destination: destination ?? null, pattern: null, matcher: null }
  if (timeoutMs === 0) {
    await transport.broadcast({ headers: { clock: 1, expires: 0 }, body })
    return new Map()
  }
  const [ticket, address] = [randomUUID(), randomUUID()]
  const answers = new Map<string, unknown>()
  let stopWaiting = () => {}
  const complete = new Promise<void>((resolve) => {
    stopWaiting = resolve
  })
  const onReply = ({ headers, body }: ControlMessage) => {
    if (headers.ticket !== ticket || typeof body !== 'object' || body === null) return
    for (const [worker, answer] of Object.entries(body)) {
      answers.set(worker, answer)
      onAnswer?.(worker, answer)
    }
    if (destination?.every((worker) => answers.has(worker))) stopWaiting()
  }
  const stop = await transport.collect(address, onReply)
  const timer = setTimeout(() => stopWaiting(), timeoutMs)
  try {
    const reply_to = { exchange: 'reply.celery.pidbox', routing_key: address }
    await transport.broadcast({
      headers: { clock: 1, expires: (Date.now() + timeoutMs) / 1000 },
      body: { ...body, ticket, reply_to },
    })
    await complete
  } finally {
    clearTimeout(timer)
    await stop()
  }
  return answers
}
