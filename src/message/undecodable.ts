/** A message whose body cannot be read. `name` is Celery's name of the error. The message becomes a dead letter or a FAILURE. */
export class UndecodableMessageError extends Error {
  override readonly name: 'InvalidTaskError' | 'DecodeError'

  constructor(message: string, name: 'InvalidTaskError' | 'DecodeError' = 'InvalidTaskError') {
    super(message)
    this.name = name
  }
}
