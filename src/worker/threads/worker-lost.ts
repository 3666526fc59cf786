/**
 * The thread in which a task ran is gone, and nobody knows how far the task came: as with a worker that was killed, this is counted against
 * the message, which is delivered again. Celery's class and words (billiard's `WorkerLostError`).
 */
export class WorkerLostError extends Error {
  override readonly name = 'WorkerLostError'

  constructor(how: string, options?: ErrorOptions) {
    super(`Worker exited prematurely: ${how}`, options)
  }
}
