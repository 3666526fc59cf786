import type { Revoke } from '../app/calls/revoke.ts'
import { AppError } from '../errors.ts'
import type { Database } from './database.ts'
import { sql } from './sql.ts'

/** A revoke as workers receive it by NOTIFY. An empty payload means "query the table". */
export interface Revoked {
  readonly kind: 'id' | 'task'
  readonly values: readonly string[]
  readonly terminate: boolean
}

interface RevokedRow extends Record<string, unknown> {
  readonly kind: 'id' | 'task'
  readonly value: string
  /** Milliseconds since the epoch, by the database's clock. */
  readonly revoked_ms: number
  /** Milliseconds since the epoch, by the database's clock. */
  readonly expires_ms: number
}

export interface Revocations {
  /**
   * Revokes tasks. A revoke is stored for seven days, so workers that start later obey it too. Revoked tasks in the outbox get
   * their outcome at once.
   */
  readonly revoke: Revoke
  /** Allows a task name to run again. @returns false if it was not revoked */
  allow(task: string): Promise<boolean>
  list(limit?: number): Promise<RevokedRow[]>
  /** Calls `onRevoked` for each revoke, and `onUnknown` if a revoke may have been missed. */
  listen(onRevoked: (revoked: Revoked) => void, onUnknown: () => void): Promise<{ stop(): Promise<void> }>
}

/**
 * A message may wait in a queue for days. Celery forgets a revoke after three hours (celery/worker/state.py, REVOKE_EXPIRES); a
 * revoked message would then run.
 */
const REVOKED_FOR_SECONDS = 7 * 24 * 3600
/** Maximum number of revokes that one worker remembers: Celery's REVOKES_MAX (celery/worker/state.py). */
export const MAX_REVOKED = 50_000
/** Ids per statement; more ids would not fit into a NOTIFY. */
const CHUNK = 100
const MAX_PAYLOAD_BYTES = 7900

export function createRevocations(database: Database): Revocations {
  const channel = database.channel('revoked')

  const keep = async (kind: 'id' | 'task', values: readonly string[], terminate: boolean) => {
    const text = JSON.stringify({ kind, values, terminate } satisfies Revoked)
    // If the revokes do not fit into the payload, workers query the table. A running task ends only if its id is in the payload.
    const payload = Buffer.byteLength(text) <= MAX_PAYLOAD_BYTES ? text : ''
    await database.query(sql('revoke'), [kind, values, REVOKED_FOR_SECONDS, channel, payload, database.channel('outbox')])
  }

  const openRuns = async (schedule: string): Promise<string[]> => {
    const [known] = await database.query(sql('schedule-find-name'), [schedule])
    if (known === undefined) throw new AppError('SCHEDULE_UNKNOWN', `no schedule has the name ${JSON.stringify(schedule)}`)
    const rows = await database.query<{ id: string }>(sql('schedule-open-runs'), [schedule, MAX_REVOKED])
    return rows.map(({ id }) => id)
  }

  return {
    async revoke({ ids = [], task, schedule }, { terminate = false } = {}) {
      const all = [...ids, ...(schedule === undefined ? [] : await openRuns(schedule))]
      for (let at = 0; at < all.length; at += CHUNK) await keep('id', all.slice(at, at + CHUNK), terminate)
      if (task !== undefined) await keep('task', [task], terminate)
      return task === undefined ? all : [...all, task]
    },
    async allow(task) {
      const [row] = await database.query<{ undone: number }>(sql('revoke-undo'), ['task', [task], channel])
      return (row?.undone ?? 0) > 0
    },
    list: (limit = MAX_REVOKED) => database.query<RevokedRow>(sql('revoked-list'), [limit]),
    listen: (onRevoked, onUnknown) =>
      database.listener.listen(
        channel,
        (payload) => {
          const revoked = parsed(payload)
          if (revoked === undefined) onUnknown()
          else onRevoked(revoked)
        },
        onUnknown,
      ),
  }
}

/** Returns undefined for an invalid payload: any client of the database can notify the channel. */
function parsed(payload: string): Revoked | undefined {
  try {
    const { kind, values, terminate } = JSON.parse(payload) as Partial<Revoked>
    if ((kind !== 'id' && kind !== 'task') || !Array.isArray(values)) return undefined
    return { kind, values: values.filter((value) => typeof value === 'string'), terminate: terminate === true }
  } catch {
    return undefined
  }
}
