import { expect, test } from 'vitest'
import type { Exit } from '../../supervisor/process-state.ts'
import { type Decision, decide, parseRestart, pauseMs, policyFor, type RestartMode } from '../../supervisor/restart-policy.ts'

const again: Decision = { tag: 'again', pauseMs: 500 }
const table: [name: string, mode: RestartMode, type: string, exit: Exit, failures: number, decision: Decision][] = [
  ['without restarts any end is the end of all', 'never', 'worker', { code: 0 }, 1, { tag: 'over', why: 'ended' }],
  ['a failed worker comes back', 'on-failure', 'worker', { code: 1 }, 1, again],
  ['a killed worker comes back', 'on-failure', 'worker', { signal: 'SIGKILL' }, 1, again],
  ['a finished worker is done', 'on-failure', 'worker', { code: 0 }, 1, { tag: 'done' }],
  ['a finished web ends all', 'on-failure', 'web', { code: 0 }, 1, { tag: 'over', why: 'ended' }],
  ['a failed web comes back', 'on-failure', 'web', { code: 1 }, 1, again],
  ['always means after success, too', 'always', 'worker', { code: 0 }, 1, again],
  ['the pause doubles', 'on-failure', 'worker', { code: 1 }, 3, { tag: 'again', pauseMs: 2_000 }],
  ['the limit ends all', 'on-failure', 'worker', { code: 1 }, 4, { tag: 'over', why: 'limit' }],
  ['success does not count to the limit', 'always', 'worker', { code: 0 }, 9, { tag: 'again', pauseMs: 30_000 }],
  ['a wrong configuration is not tried again', 'always', 'worker', { code: 78 }, 1, { tag: 'over', why: 'configuration' }],
]
test.each(table)('%s', (_name, mode, type, exit, failures, decision) => {
  expect(decide({ mode, limit: 4 }, { type, exit, ends: failures, failures }, 0)).toEqual(decision)
})

test('the pause grows to 30 s and has a quarter of jitter', () => {
  expect([1, 2, 3, 7, 20].map((failures) => pauseMs(failures, 0))).toEqual([500, 1_000, 2_000, 30_000, 30_000])
  expect(pauseMs(7, 0.999)).toBeGreaterThanOrEqual(22_500)
})

test('a policy may be given to all, to a type, with a limit', () => {
  const policies = parseRestart('on-failure,web=never,beat=always:3')
  expect(['web', 'beat', 'worker'].map((type) => policyFor(type, policies))).toEqual([
    { mode: 'never', limit: 5 },
    { mode: 'always', limit: 3 },
    { mode: 'on-failure', limit: 10 },
  ])
  expect(policyFor('web', parseRestart('on-failure'))).toEqual({ mode: 'on-failure', limit: 5 })
  expect(policyFor('web', undefined).mode).toBe('never')
})

test.each(['sometimes', 'worker=', 'on-failure:x', 'a b=never'])('--restart %s is refused with the accepted words', (text) => {
  expect(() => parseRestart(text)).toThrow(/is not \[NAME=\]never\|on-failure\|always\[:LIMIT\]/)
})
