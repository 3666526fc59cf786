import type { Revoke } from '../app/calls/revoke.ts'
import type { Broker } from '../broker/broker.ts'
import { waitAtMost } from '../concurrency/with-timeout.ts'
import { askWorkers } from '../control/ask.ts'
import type { Database } from '../database/database.ts'
import { createRevocations } from '../database/revocations.ts'

/** Ids per request. */
const AT_ONCE = 1000
/** Limit for the request to workers of Python: there is no retry while the broker is away. Milliseconds. */
const TELL_MS = 1000

/**
 * Stores revocations for workers of onedyno, and sends the ids to workers of Python on the same broker, which receive them only if they run
 * now (docs/internals/wire-protocol.md). Celery can revoke ids only, not names of tasks.
 */
export function createRevoke(database: Database, broker: Pick<Broker, 'kind' | 'control'>): Revoke {
  const { revoke } = createRevocations(database)

  const tell = async (ids: readonly string[], terminate: boolean): Promise<void> => {
    const transport = await broker.control()
    for (let at = 0; at < ids.length; at += AT_ONCE) {
      const given = { task_id: ids.slice(at, at + AT_ONCE), terminate, signal: 'SIGTERM' }
      await askWorkers(transport, { method: 'revoke', given, timeoutMs: 0 })
    }
  }

  return async (unwanted, options = {}) => {
    const revoked = await revoke(unwanted, options)
    const ids = unwanted.task === undefined ? revoked : revoked.slice(0, -1)
    if (broker.kind !== 'postgres' && ids.length > 0) {
      const asked = tell(ids, options.terminate === true).catch(() => {})
      // Workers of onedyno read the revocation in the database, whether or not this request arrives.
      await waitAtMost(asked, TELL_MS)
    }
    return revoked
  }
}
