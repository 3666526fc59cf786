import { stampKeys } from '../message/stamps.ts'
import type { Arguments, Panel } from './panel.ts'
import { isText, isTruthy, listOf } from './python-values.ts'
import { pythonRepr } from './repr.ts'

/**
 * Revokes tasks in this worker at once, and stores the revocations for workers that start later. Other running workers receive
 * the same request.
 */
export async function revoke(panel: Panel, { task_id, terminate: flag }: Arguments) {
  const terminate = isTruthy(flag)
  const ids = listOf(task_id).filter(isText)
  if (ids.length === 0) return { error: 'task_id is missing' }
  const running = terminate ? ids.filter((id) => panel.worker.terminate(id)) : []
  panel.revoked.add(ids)
  await panel.keepRevoked(ids, terminate)
  return terminate ? terminated(running) : { ok: `tasks {${ids.map(pythonRepr).join(', ')}} flagged as revoked` }
}

/**
 * Revokes the tasks that have one of the stamps. As in Celery, each worker keeps the stamps in memory until it ends. Celery's client reads
 * the key `ok` of every answer.
 */
export function revokeByStampedHeaders({ worker, revoked }: Panel, given: Arguments) {
  const stamps = stampsOf(given.headers)
  if (stamps === undefined)
    return { error: `headers are neither a dict of stamps nor texts "name=value": ${pythonRepr(given.headers)}` }
  revoked.addStamps(stamps)
  if (!isTruthy(given.terminate)) return { ok: `headers ${pythonRepr(stamps)} flagged as revoked, but not terminated` }
  const wanted = new Set(stampKeys(stamps))
  const marked = worker
    .active()
    .filter(({ delivery }) => stampKeys(delivery.message.headers.stamps).some((key) => wanted.has(key)))
  const ids = marked.map(({ delivery }) => delivery.message.headers.id)
  return terminated(ids.filter((id) => worker.terminate(id)))
}

const terminated = (ids: readonly string[]) => ({
  ok: ids.length > 0 ? `terminate: ${ids.join(', ')}` : 'terminate: tasks unknown',
})

/** A dict from Python, or the list of `name=value` that Celery's command line sends. */
function stampsOf(headers: unknown): Record<string, unknown> | undefined {
  if (typeof headers !== 'object' || headers === null) return undefined
  if (!Array.isArray(headers)) return headers as Record<string, unknown>
  const pairs = headers.map((each) => /^([^=]+)=(.*)$/s.exec(String(each)))
  return pairs.includes(null) ? undefined : Object.fromEntries(pairs.map((pair) => [pair?.[1], pair?.[2]]))
}
