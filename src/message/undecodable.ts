/** A message that cannot be run, and why: it is kept aside or recorded, never lost, never a crash. */
export class UndecodableMessageError extends Error {
  override readonly name = 'InvalidTaskError'
}
