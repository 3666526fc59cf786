import { withTimeout } from '../../concurrency/with-timeout.ts'

/** Longest wait for an answer, because a server in trouble may accept a request and never answer it. Milliseconds. */
const ANSWER_TIMEOUT_MS = 10_000

/** Rejects if RabbitMQ does not answer within 10 seconds. `onLate` receives an answer that comes later. */
export const withAnswerTimeout = <T>(what: string, asked: Promise<T>, onLate: (answer: T) => void = () => {}): Promise<T> =>
  withTimeout(asked, ANSWER_TIMEOUT_MS, () => {
    asked.then(onLate, () => {})
    throw new Error(`RabbitMQ did not answer ${what} within ${ANSWER_TIMEOUT_MS} ms`)
  })
