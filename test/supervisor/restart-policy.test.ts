import { expect, test } from 'vitest'
import type { Exit } from '../../supervisor/exit.ts'
import {
  countEnd,
  decide,
  NO_STREAK,
  parseRestart,
  pauseMs,
  policyFor,
  type RestartDecision,
  type RestartMode,
  type Streak,
} from '../../supervisor/restart-policy.ts'

const again: RestartDecision = { tag: 'again', pauseMs: 500 }
const ended: RestartDecision = { tag: 'over', why: 'ended' }
const table: [name: string, mode: RestartMode, type: string, exit: Exit, failures: number, decision: RestartDecision][] = [
  ['without --restart, the end of any process stops the run', 'never', 'worker', { code: 0 }, 1, ended],
  ['a failed worker restarts', 'on-failure', 'worker', { code: 1 }, 1, again],
  ['a worker that died by a signal restarts', 'on-failure', 'worker', { signal: 'SIGKILL' }, 1, again],
  ['a worker that exits with 0 is done', 'on-failure', 'worker', { code: 0 }, 1, { tag: 'done' }],
  ['a web process that exits with 0 stops the run', 'on-failure', 'web', { code: 0 }, 1, ended],
  ['a failed web process restarts', 'on-failure', 'web', { code: 1 }, 1, again],
  ['"always" restarts after success', 'always', 'worker', { code: 0 }, 1, again],
  ['the pause before a restart doubles with each end', 'on-failure', 'worker', { code: 1 }, 3, { tag: 'again', pauseMs: 2_000 }],
  ['the run stops at the limit of restarts', 'on-failure', 'worker', { code: 1 }, 4, { tag: 'over', why: 'limit' }],
  [
    'a success does not count towards the limit of restarts',
    'always',
    'worker',
    { code: 0 },
    9,
    { tag: 'again', pauseMs: 30_000 },
  ],
  ['exit code 78 stops the run at once', 'always', 'worker', { code: 78 }, 1, { tag: 'over', why: 'configuration' }],
]
test.each(table)('%s', (_name, mode, type, exit, failures, decision) => {
  expect(decide({ mode, limit: 4 }, { type, exit, ends: failures, failures }, 0)).toEqual(decision)
})

test.each<[name: string, streak: Streak, exit: Exit, livedMs: number, then: Streak]>([
  ['a first failure begins a streak', NO_STREAK, { code: 1 }, 0, { ends: 1, failures: 1 }],
  ['a failure soon after another prolongs the streak', { ends: 2, failures: 2 }, { code: 1 }, 0, { ends: 3, failures: 3 }],
  [
    'a success prolongs the streak of ends but not of failures',
    { ends: 2, failures: 2 },
    { code: 0 },
    0,
    { ends: 3, failures: 0 },
  ],
  ['a process that was healthy begins a new streak', { ends: 9, failures: 9 }, { code: 1 }, 30_000, { ends: 1, failures: 1 }],
])('%s', (_name, streak, exit, livedMs, then) => {
  expect(countEnd(streak, exit, livedMs)).toEqual(then)
})

test('the pause before a restart grows to 30 s and has a jitter of a quarter', () => {
  expect([1, 2, 3, 7, 20].map((ends) => pauseMs(ends, 0))).toEqual([500, 1_000, 2_000, 30_000, 30_000])
  expect(pauseMs(7, 0.999)).toBeGreaterThanOrEqual(22_500)
})

test('a restart policy applies to all process types or to one type, and may have a limit', () => {
  const policies = parseRestart('on-failure,web=never,beat=always:3')
  expect(['web', 'beat', 'worker'].map((type) => policyFor(type, policies))).toEqual([
    { mode: 'never', limit: 5 },
    { mode: 'always', limit: 3 },
    { mode: 'on-failure', limit: 10 },
  ])
  expect(policyFor('web', parseRestart('on-failure'))).toEqual({ mode: 'on-failure', limit: 5 })
  expect(policyFor('web', undefined).mode).toBe('never')
})

test.each(['sometimes', 'worker=', 'on-failure:x', 'a b=never'])(
  '--restart rejects "%s" and lists the accepted words',
  (text) => {
    expect(() => parseRestart(text)).toThrow(/is not \[NAME=\]never\|on-failure\|always\[:LIMIT\]/)
  },
)
