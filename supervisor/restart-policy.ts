import { SupervisorError } from './errors.ts'
import type { Exit } from './process-state.ts'
import { splitList } from './split-list.ts'

export type RestartMode = 'never' | 'on-failure' | 'always'

export interface RestartPolicy {
  readonly mode: RestartMode
  /** Failures in a row after which the supervisor gives up and ends with that process's code. */
  readonly limit: number
}

/** Failures in a row that are borne by default: more for helpers, fewer for `web`, whose absence the platform must see. */
export const DEFAULT_LIMIT = 10
export const DEFAULT_WEB_LIMIT = 5
/** A process that lived this long was healthy: its next failure is a first one. */
export const HEALTHY_MS = 30_000
const FIRST_PAUSE_MS = 500
const LONGEST_PAUSE_MS = 30_000
/** sysexits.h EX_CONFIG: the same start would fail the same way again. */
export const EXIT_CONFIG = 78

export type Decision =
  /** Start it again after the pause. */
  | { readonly tag: 'again'; readonly pauseMs: number }
  /** It has done its work; the others go on. */
  | { readonly tag: 'done' }
  /** Its end is the end of the whole run. */
  | { readonly tag: 'over'; readonly why: 'ended' | 'configuration' | 'limit' }

export interface Ending {
  readonly type: string
  readonly exit: Exit
  /** Ends in a row, whatever they were, this one included: the pause grows with them. */
  readonly ends: number
  /** Failures in a row, this one included when it is one. */
  readonly failures: number
}

export const isSuccess = (exit: Exit): boolean => 'code' in exit && exit.code === 0

/** What follows when a process ends by itself. Pure; `random` is in [0, 1). */
export function decide(policy: RestartPolicy, ending: Ending, random: number): Decision {
  const succeeded = isSuccess(ending.exit)
  if ('code' in ending.exit && ending.exit.code === EXIT_CONFIG) return { tag: 'over', why: 'configuration' }
  if (policy.mode === 'never') return { tag: 'over', why: 'ended' }
  // A dyno without its web process looks alive and answers nobody: end, so that the platform starts it again.
  if (succeeded && policy.mode === 'on-failure') return ending.type === 'web' ? { tag: 'over', why: 'ended' } : { tag: 'done' }
  if (!succeeded && ending.failures >= policy.limit) return { tag: 'over', why: 'limit' }
  return { tag: 'again', pauseMs: pauseMs(ending.ends, random) }
}

/** Doubles from 0.5 s to 30 s, less up to a quarter of jitter, so that processes that failed together do not return together. */
export function pauseMs(ends: number, random: number): number {
  const full = Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** (ends - 1))
  return Math.round(full * (1 - random / 4))
}

/** The policy of each type; `fallback` is for those not named. */
export interface RestartPolicies {
  readonly fallback: RestartPolicy | undefined
  readonly byType: ReadonlyMap<string, RestartPolicy>
}

const MODES: readonly string[] = ['never', 'on-failure', 'always']

/**
 * Reads `on-failure`, `always:5` (five failures in a row) or `worker=on-failure,beat=always`; the last one of a kind counts.
 *
 * @throws SupervisorError OPTION_INVALID with the accepted words
 */
export function parseRestart(text: string): RestartPolicies {
  let fallback: RestartPolicy | undefined
  const byType = new Map<string, RestartPolicy>()
  for (const part of splitList(text)) {
    const match = /^(?:([A-Za-z0-9_-]+)=)?([a-z-]+)(?::(\d{1,4}))?$/.exec(part)
    if (match === null || !MODES.includes(match[2]!)) {
      throw new SupervisorError('OPTION_INVALID', `--restart ${JSON.stringify(part)} is not [NAME=]${MODES.join('|')}[:LIMIT]`)
    }
    const name = match[1]
    const limit = match[3] === undefined ? (name === 'web' ? DEFAULT_WEB_LIMIT : DEFAULT_LIMIT) : Math.max(1, Number(match[3]))
    const policy = { mode: match[2] as RestartMode, limit }
    if (name === undefined || name === 'all') fallback = policy
    else byType.set(name, policy)
  }
  return { fallback, byType }
}

/** Without --restart as Honcho: the first process that ends stops all the others. */
export function policyFor(type: string, policies: RestartPolicies | undefined): RestartPolicy {
  const named = policies?.byType.get(type)
  if (named !== undefined) return named
  const fallback = policies?.fallback ?? { mode: 'never', limit: DEFAULT_LIMIT }
  return type === 'web' && fallback.limit === DEFAULT_LIMIT ? { ...fallback, limit: DEFAULT_WEB_LIMIT } : fallback
}
