/**
 * The error for a message whose body cannot be read. `name` is the name of the error in Celery. The message becomes a dead
 * letter or a FAILURE.
 */
export class UndecodableMessageError extends Error {
  override readonly name: 'InvalidTaskError' | 'DecodeError'

  constructor(message: string, name: 'InvalidTaskError' | 'DecodeError' = 'InvalidTaskError') {
    super(message)
    this.name = name
  }
}
