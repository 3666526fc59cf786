/** A message that cannot be run, and why, under Celery's name for it: it is kept aside or recorded, never lost, never a crash. */
export class UndecodableMessageError extends Error {
  override readonly name: 'InvalidTaskError' | 'DecodeError'

  constructor(message: string, name: 'InvalidTaskError' | 'DecodeError' = 'InvalidTaskError') {
    super(message)
    this.name = name
  }
}
