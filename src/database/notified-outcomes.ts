import { type Outcome, READY_STATES } from '../app/outcome.ts'
import type { StoredResult } from '../app/results/stored-result.ts'

/** A payload has fewer than 8,000 bytes (PostgreSQL 18, NOTIFY). The rest is left for the name of the channel. */
const MAX_BYTES = 7900
/** More outcomes would not fit, so they are not even serialized. */
const MAX_OUTCOMES = 40

interface Notification {
  readonly worker: string | null
  readonly outcomes: readonly Outcome[]
}

/**
 * Returns the payload of a NOTIFY: the final outcomes with their values if they fit, so that a waiting process need not query
 * them. An empty payload means "query the table"; null means that no outcome is final. Stack traces are not part of the payload.
 */
export function notificationOf(outcomes: readonly Outcome[], worker: string | null): { payload: string | null; final: number } {
  const final = outcomes.filter(({ state }) => READY_STATES.has(state))
  if (final.length === 0) return { payload: null, final: 0 }
  if (final.length > MAX_OUTCOMES) return { payload: '', final: final.length }
  const notification: Notification = { worker, outcomes: final.map((outcome) => ({ ...outcome, traceback: null })) }
  const payload = JSON.stringify(notification)
  return { payload: Buffer.byteLength(payload) <= MAX_BYTES ? payload : '', final: final.length }
}

/** Reads a payload of `notificationOf`. The results lack stack trace, arguments and creation time. */
export function parseNotification(payload: string): StoredResult[] {
  const { worker, outcomes } = JSON.parse(payload) as Notification
  return outcomes.map(({ result, startedAt, doneAt, ...outcome }) => {
    const done = new Date(doneAt ?? Date.now())
    const started = startedAt === null ? null : new Date(startedAt)
    const value = result === null ? null : JSON.parse(result)
    return { ...outcome, worker, args: null, result: value, createdAt: started ?? done, startedAt: started, doneAt: done }
  })
}
