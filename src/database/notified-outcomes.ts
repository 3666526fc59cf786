import { type Outcome, READY_STATES } from '../app/outcome.ts'
import type { StoredResult } from '../app/results/stored-result.ts'

/** NOTIFY takes 8,000 bytes (PostgreSQL 18, NOTIFY); some are left for the name of the channel. */
const MAX_BYTES = 7900
/** More than this would not fit anyway, and need not be turned into text to see it. */
const MAX_OUTCOMES = 40

interface Told {
  readonly worker: string | null
  readonly outcomes: readonly Outcome[]
}

/**
 * A payload for NOTIFY: final outcomes with their values while they fit, so that who waits need not ask; else an empty text, which says
 * "look yourselves"; null when there is nothing to tell. Stacks stay in the table.
 */
export function notificationOf(outcomes: readonly Outcome[], worker: string | null): { payload: string | null; final: number } {
  const final = outcomes.filter(({ state }) => READY_STATES.has(state))
  if (final.length === 0) return { payload: null, final: 0 }
  if (final.length > MAX_OUTCOMES) return { payload: '', final: final.length }
  const told: Told = { worker, outcomes: final.map((outcome) => ({ ...outcome, traceback: null })) }
  const payload = JSON.stringify(told)
  return { payload: Buffer.byteLength(payload) <= MAX_BYTES ? payload : '', final: final.length }
}

/** What `notificationOf` told, as it is stored, but for stacks, arguments and the moment of sending. */
export function parseNotification(payload: string): StoredResult[] {
  const { worker, outcomes } = JSON.parse(payload) as Told
  return outcomes.map(({ result, startedAt, doneAt, ...outcome }) => {
    const done = new Date(doneAt ?? Date.now())
    const started = startedAt === null ? null : new Date(startedAt)
    const value = result === null ? null : JSON.parse(result)
    return { ...outcome, worker, args: null, result: value, createdAt: started ?? done, startedAt: started, doneAt: done }
  })
}
