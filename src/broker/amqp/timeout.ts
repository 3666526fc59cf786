/** A server in trouble may take a request and never answer it: then another attempt is made. Milliseconds. */
export const PATIENCE_MS = 10_000

/** The answer, or an error after 10 seconds; an answer that comes later than that goes to `late`. */
export function withPatience<T>(what: string, asked: Promise<T>, late: (answer: T) => void = () => {}): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    let over = false
    const timer = setTimeout(() => {
      over = true
      reject(new Error(`RabbitMQ did not answer ${what} within ${PATIENCE_MS} ms`))
    }, PATIENCE_MS)
    asked.then(
      (answer) => {
        clearTimeout(timer)
        if (over) late(answer)
        else resolve(answer)
      },
      (error: unknown) => {
        clearTimeout(timer)
        reject(error)
      },
    )
  })
}
