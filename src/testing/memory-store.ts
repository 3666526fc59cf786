import type { Planner } from '../app/canvas/plan.ts'
import type { ChordPlan, Effects, Plan } from '../app/effects.ts'
import { type Outcome, READY_STATES } from '../app/outcome.ts'
import type { Progress, StoredResult } from '../app/results/stored-result.ts'
import { endOf } from '../database/chords.ts'
import type { Message } from '../message/message.ts'

/** A message and its due time, in milliseconds since the epoch by the clock of the test. */
export interface Waiting {
  readonly message: Message
  readonly dueMs: number
}

export interface DeadMessage {
  readonly message: Message
  readonly reason: string
}

/** Keeps results, groups, chords, unique keys and waiting messages in memory, in place of database and broker. */
export interface MemoryStore {
  readonly results: Map<string, StoredResult>
  readonly groups: Map<string, readonly string[]>
  readonly keys: Map<string, { readonly id: string; readonly untilMs: number }>
  readonly deadLetters: DeadMessage[]
  waiting: Waiting[]
  send(plan: Plan): void
  /** Stores an outcome. As in the database, the first final outcome wins, and effects are written only with their outcome. */
  record(outcome: Outcome | null, id: string, effects?: Effects): void
  /** Waits for the final result. Returns undefined if `signal` aborts first. */
  wait(id: string, signal: AbortSignal): Promise<StoredResult | undefined>
}

export function createMemoryStore(planner: Planner, clock: { nowMs(): number }): MemoryStore {
  const results = new Map<string, StoredResult>()
  const groups = new Map<string, readonly string[]>()
  const keys: MemoryStore['keys'] = new Map()
  const deadLetters: DeadMessage[] = []
  const chords = new Map<string, { plan: ChordPlan; open: Set<string> }>()
  const waiters = new Map<string, Set<(stored: StoredResult) => void>>()

  const store: MemoryStore = {
    results,
    groups,
    keys,
    deadLetters,
    waiting: [],
    send({ messages, chords: started, groups: saved }) {
      for (const { id, members } of saved) groups.set(id, members)
      for (const plan of started) chords.set(plan.id, { plan, open: new Set(plan.members) })
      // The eta was computed with the real clock, so only its distance from the real time counts.
      for (const message of messages) {
        const { eta } = message.headers
        const delayMs = eta == null ? 0 : Math.max(0, Date.parse(eta) - Date.now())
        store.waiting.push({ message, dueMs: clock.nowMs() + delayMs })
      }
    },
    record(outcome, id, effects) {
      if (outcome !== null && !keep(outcome, effects)) return
      if (effects !== undefined) writeEffects(effects, id, outcome)
    },
    async wait(id, signal) {
      const stored = results.get(id)
      if (stored !== undefined && READY_STATES.has(stored.state)) return stored
      if (signal.aborted) return undefined
      return new Promise((resolve) => {
        waiters.set(id, (waiters.get(id) ?? new Set()).add(resolve))
        signal.addEventListener('abort', () => resolve(undefined), { once: true })
      })
    },
  }

  /** Stores an outcome. @returns false if another final outcome was stored first */
  const keep = (outcome: Outcome, effects?: Effects): boolean => {
    const former = results.get(outcome.id)
    if (former !== undefined && READY_STATES.has(former.state)) return false
    const stored = storedOf(outcome, former, effects)
    results.set(outcome.id, stored)
    if (READY_STATES.has(outcome.state)) {
      for (const resolve of waiters.get(outcome.id) ?? []) resolve(stored)
      waiters.delete(outcome.id)
    }
    return true
  }

  const writeEffects = (effects: Effects, id: string, outcome: Outcome | null) => {
    const { plan, retry, unreachable = [], countsForChord, deadLetter, ignored, releasesUnique } = effects
    if (plan !== undefined) store.send(plan)
    if (retry !== undefined) {
      const dueMs = clock.nowMs() + Math.max(0, retry.dueAt.getTime() - Date.now())
      store.waiting.push({ message: retry.message, dueMs })
    }
    if (deadLetter !== undefined) deadLetters.push(deadLetter)
    if (releasesUnique) for (const [key, holder] of keys) if (holder.id === id) keys.delete(key)
    const ended = countsForChord ? [id] : []
    if (ignored !== undefined && !isFinal(results.get(id))) results.delete(id)
    for (const other of unreachable) {
      if (ignored !== undefined && other.countsForChord) ended.push(other.id)
      if (outcome === null || !keep({ ...outcome, id: other.id, task: other.task })) continue
      if (other.countsForChord) ended.push(other.id)
    }
    if (ended.length > 0) count(ended, ignored)
  }

  const count = (ids: readonly string[], ignored?: string) => {
    for (const [chordId, { plan, open }] of chords) {
      const mine = ids.filter((id) => open.delete(id))
      const failed = mine.find((id) => ignored !== undefined || ['FAILURE', 'REVOKED'].includes(results.get(id)?.state ?? ''))
      if (mine.length === 0 || (open.size > 0 && failed === undefined)) continue
      chords.delete(chordId)
      end(plan, { last: mine.at(-1)!, failed, thrown: ignored })
    }
  }

  const end = (
    { id, members, body, rootId }: ChordPlan,
    { last, failed, thrown }: { readonly last: string; readonly failed: string | undefined; readonly thrown: string | undefined },
  ) => {
    const textOf = (member: string) => JSON.stringify(results.get(member)?.result ?? null)
    const rows = members.map((task_id) => {
      return { chord_id: id, task_id, state: results.get(task_id)?.state ?? null, result: textOf(task_id) }
    })
    const reason = thrown ?? (failed === undefined ? null : textOf(failed))
    const chord = { id, remaining: 0, body: JSON.stringify(body), root_id: rootId, last, failed: failed ?? null, reason }
    const { plan, outcomes } = endOf(chord, rows, planner)
    store.send(plan)
    const unrun = outcomes.filter((outcome) => keep(outcome)).map((outcome) => outcome.id)
    if (unrun.length > 0) count(unrun)
  }

  return store
}

const isFinal = (stored: StoredResult | undefined) => stored !== undefined && READY_STATES.has(stored.state)

function storedOf(outcome: Outcome, former: StoredResult | undefined, effects: Effects | undefined): StoredResult {
  const { startedAt, doneAt, result, ...rest } = outcome
  const { nextAt = null, parentId = null, rootId = null, children = [], progress } = effects?.extra ?? {}
  return {
    ...rest,
    result: result === null ? null : JSON.parse(result),
    worker: 'celery@test',
    args: null,
    createdAt: former?.createdAt ?? new Date(startedAt ?? doneAt ?? Date.now()),
    startedAt: startedAt === null ? null : new Date(startedAt),
    doneAt: doneAt === null ? null : new Date(doneAt),
    ...{ nextAt, expiresAt: null, parentId, rootId, children },
    progress: progress === undefined ? (former?.progress ?? null) : (JSON.parse(progress) as Progress),
  }
}
