/** The reason of `ctx.signal` after a revoke with `terminate`. */
export class Revocation extends Error {
  override readonly name = 'TaskRevokedError'

  constructor() {
    super('terminated')
  }
}

/** The reason of `ctx.signal` when the worker stops and its grace period is over. */
export class Shutdown extends Error {
  override readonly name = 'Shutdown'

  constructor() {
    super('the worker shuts down')
  }
}

/**
 * The thread in which a task ran has died, and it is unknown how far the task came. As when a worker is killed, the death is
 * counted against the message, which is delivered again. Name and text are Celery's (`billiard.exceptions.WorkerLostError`).
 */
export class WorkerLostError extends Error {
  override readonly name = 'WorkerLostError'

  constructor(how: string, options?: ErrorOptions) {
    super(`Worker exited prematurely: ${how}`, options)
  }
}
