import { withTimeout } from '../../concurrency/with-timeout.ts'

/** A server in trouble may take a request and never answer it; after this time the request is given up. Milliseconds. */
const ANSWER_TIMEOUT_MS = 10_000

/** The answer, or an error after 10 seconds. `onLate` receives an answer that comes after that. */
export const withAnswerTimeout = <T>(what: string, asked: Promise<T>, onLate: (answer: T) => void = () => {}): Promise<T> =>
  withTimeout(asked, ANSWER_TIMEOUT_MS, () => {
    asked.then(onLate, () => {})
    throw new Error(`RabbitMQ did not answer ${what} within ${ANSWER_TIMEOUT_MS} ms`)
  })
