/** Why a task's signal is aborted when somebody revoked it with `terminate`. */
export class Revocation extends Error {
  override readonly name = 'TaskRevokedError'

  constructor() {
    super('terminated')
  }
}

/** Why a task's signal is aborted when its worker stops and has no more time for it. */
export class Shutdown extends Error {
  override readonly name = 'Shutdown'

  constructor() {
    super('the worker shuts down')
  }
}
