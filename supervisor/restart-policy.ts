import { SupervisorError } from './errors.ts'
import { type Exit, isSuccess } from './exit.ts'
import { splitList } from './options.ts'

export type RestartMode = 'never' | 'on-failure' | 'always'

export interface RestartPolicy {
  readonly mode: RestartMode
  /** After this many failures in a row the supervisor gives up and exits with the exit code of the last failure. */
  readonly limit: number
}

const DEFAULT_LIMIT = 10
/** The limit of `web` is lower than the limit of other types, because the platform must notice soon that `web` is gone. */
const DEFAULT_WEB_LIMIT = 5
/** A process that lived this long was healthy: its streak starts again at zero. Milliseconds. */
const HEALTHY_MS = 30_000
const FIRST_PAUSE_MS = 500
const LONGEST_PAUSE_MS = 30_000
/** sysexits.h EX_CONFIG: another start would fail in the same way. */
const EXIT_CONFIG = 78

/** Ends of one slot in a row, each after less than HEALTHY_MS. */
export interface Streak {
  /** The number of ends in the streak. The pause grows with it. */
  readonly ends: number
  /** The number of failures since the last success. The limit applies to it. */
  readonly failures: number
}

export const NO_STREAK: Streak = { ends: 0, failures: 0 }

/** Returns the streak after one more end. The process lived for `livedMs` milliseconds. */
export function countEnd(streak: Streak, exit: Exit, livedMs: number): Streak {
  const { ends, failures } = livedMs >= HEALTHY_MS ? NO_STREAK : streak
  return { ends: ends + 1, failures: isSuccess(exit) ? 0 : failures + 1 }
}

export type RestartDecision =
  /** Start the process again after the pause. */
  | { readonly tag: 'again'; readonly pauseMs: number }
  /** The process has done its work. The others keep running. */
  | { readonly tag: 'done' }
  /** The end of this process stops the whole run. `why` is the reason. */
  | { readonly tag: 'over'; readonly why: 'ended' | 'configuration' | 'limit' }

/** The end of a process that was not asked to stop. The streak includes this end. */
export interface UnaskedEnd extends Streak {
  readonly type: string
  readonly exit: Exit
}

/** Decides what happens after an unasked end. Pure; `random` is in [0, 1). */
export function decide(policy: RestartPolicy, end: UnaskedEnd, random: number): RestartDecision {
  const succeeded = isSuccess(end.exit)
  if ('code' in end.exit && end.exit.code === EXIT_CONFIG) return { tag: 'over', why: 'configuration' }
  if (policy.mode === 'never') return { tag: 'over', why: 'ended' }
  // Without its web process a dyno looks alive but serves no requests. If the run ends, the platform restarts the dyno.
  if (succeeded && policy.mode === 'on-failure') return end.type === 'web' ? { tag: 'over', why: 'ended' } : { tag: 'done' }
  if (!succeeded && end.failures >= policy.limit) return { tag: 'over', why: 'limit' }
  return { tag: 'again', pauseMs: pauseMs(end.ends, random) }
}

/**
 * Returns the pause before a restart: 0.5 s, doubled for each end up to 30 s, minus a random part of up to a quarter. So
 * processes that fail together do not restart together.
 */
export function pauseMs(ends: number, random: number): number {
  const full = Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** (ends - 1))
  return Math.round(full * (1 - random / 4))
}

/** The policy of each type. `fallback` is the policy of types that are not listed. */
export interface RestartPolicies {
  readonly fallback: RestartPolicy | undefined
  readonly byType: ReadonlyMap<string, RestartPolicy>
}

const MODES: readonly string[] = ['never', 'on-failure', 'always']

/**
 * Reads `on-failure`, `always:5` (five failures in a row) or `worker=on-failure,beat=always`. The last entry for a type wins.
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

/**
 * Returns the policy of a type. Without --restart the supervisor behaves as Honcho does: when the first process ends, all other
 * processes are stopped.
 */
export function policyFor(type: string, policies: RestartPolicies | undefined): RestartPolicy {
  const named = policies?.byType.get(type)
  if (named !== undefined) return named
  const fallback = policies?.fallback ?? { mode: 'never', limit: DEFAULT_LIMIT }
  return type === 'web' && fallback.limit === DEFAULT_LIMIT ? { ...fallback, limit: DEFAULT_WEB_LIMIT } : fallback
}
