/** Why a task's signal is aborted when somebody revoked it with `terminate`. */
export class Revocation extends Error {
  override readonly name = 'TaskRevokedError'

  constructor() {
    super('terminated')
  }
}
