import type { Revoke } from '../app/calls/revoke.ts'
import type { Broker } from '../broker/broker.ts'
import { waitAtMost } from '../concurrency/with-timeout.ts'
import { askWorkers } from '../control/ask.ts'
import type { Database } from '../database/database.ts'
import { createRevocations } from '../database/revocations.ts'

/** Maximum number of ids in one request. */
const AT_ONCE = 1000
/** Milliseconds to wait for the request to Python workers. It is not repeated while the broker is away. */
const TELL_MS = 1000

/**
 * Returns a function that stores revokes for workers of onedyno, and sends the ids to Python workers on the same broker. A
 * Python worker receives them only if it runs at that moment (docs/internals/wire-protocol.md). Celery can revoke only ids, not
 * names of tasks.
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
      // Workers of onedyno read the revoke in the database, so it has effect even if this request does not arrive.
      await waitAtMost(asked, TELL_MS)
    }
    return revoked
  }
}
