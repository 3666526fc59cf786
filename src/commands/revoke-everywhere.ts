import type { Revoke } from '../app/calls/revoke.ts'
import type { Broker } from '../broker/broker.ts'
import { waitAtMost } from '../concurrency/with-timeout.ts'
import { askWorkers } from '../control/ask.ts'
import type { Database } from '../database/database.ts'
import { createRevocations } from '../database/revocations.ts'

/** Ids in one request. */
const AT_ONCE = 1000
/** Workers of Python are told now or not at all: a broker that is away is not waited for. Milliseconds. */
const TELL_MS = 1000

/**
 * Revokes for workers of onedyno, which know it for certain, and asks those of Python on the same broker, who hear it if they run now
 * (reference/celery-protocol.md §5.4, §6.2). They know ids only, not names of tasks.
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
