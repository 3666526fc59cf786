import { expect, test } from 'vitest'
import { type Event, next, type State, timedEvent } from '../../supervisor/process-state.ts'

const starting: State = { tag: 'starting' }
const running: State = { tag: 'running', pid: 7, sinceMs: 1 }
const stopping = { tag: 'stopping', pid: 7, killAtMs: 5_000, killed: false, thenStart: false } as const satisfies State
const restarting: State = { ...stopping, thenStart: true }
const killed: State = { ...stopping, killed: true }
const failed = { code: 1 }
const waiting: State = { tag: 'backing-off', startAtMs: 9, exit: failed }
const exited: State = { tag: 'exited', exit: failed }
const spawned: Event = { tag: 'spawned', pid: 7, atMs: 1 }
const stop = { tag: 'stopAsked', killAtMs: 5_000, thenStart: false } as const satisfies Event
const restart: Event = { ...stop, thenStart: true }
const killDue: Event = { tag: 'killDue' }
const ended: Event = { tag: 'ended', exit: failed }
const endedForNow: Event = { ...ended, startAtMs: 9 }
const start: Event = { tag: 'startAsked' }

const table: [name: string, from: State, event: Event, to: State][] = [
  ['a starting process runs when it is spawned', starting, spawned, running],
  ['a starting process exits when it cannot be spawned', starting, ended, exited],
  ['a starting process backs off when it cannot be spawned and its policy restarts it', starting, endedForNow, waiting],
  ['a starting process ignores a stop', starting, stop, starting],
  ['a starting process ignores a restart', starting, restart, starting],
  ['a starting process ignores a due kill', starting, killDue, starting],
  ['a starting process ignores a start', starting, start, starting],

  ['a running process stops when a stop is asked', running, stop, stopping],
  ['a running process stops first when a restart is asked', running, restart, restarting],
  ['a running process exits when it ends', running, ended, exited],
  ['a running process backs off when it ends and its policy restarts it', running, endedForNow, waiting],
  ['a running process ignores a second spawn', running, { ...spawned, pid: 8 }, running],
  ['a running process ignores a due kill', running, killDue, running],
  ['a running process ignores a start', running, start, running],

  ['a stopping process exits when it ends', stopping, ended, exited],
  ['a stopping process exits even if its policy would restart it', stopping, endedForNow, exited],
  ['a stopping process that is restarted starts when it ends', restarting, ended, starting],
  ['a stopping process is killed when its time is over', stopping, killDue, killed],
  ['a stopping process is killed only once', killed, killDue, killed],
  ['a killed process exits when it ends', killed, ended, exited],
  ['a killed process that is restarted starts when it ends', { ...killed, thenStart: true }, ended, starting],
  ['a second stop does not give more time', stopping, { ...stop, killAtMs: 9_000 }, stopping],
  ['a second stop may give less time', stopping, { ...stop, killAtMs: 3_000 }, { ...stopping, killAtMs: 3_000 }],
  ['a stop wins over an earlier restart', restarting, stop, stopping],
  ['a restart does not win over an earlier stop', stopping, restart, stopping],
  ['a stopping process ignores a spawn', stopping, spawned, stopping],
  ['a stopping process ignores a start', stopping, start, stopping],

  ['a process that backs off starts when the pause is over', waiting, start, starting],
  ['a process that backs off exits with its last exit when a stop is asked', waiting, stop, exited],
  ['a process that backs off starts at once when a restart is asked', waiting, restart, starting],
  ['a second end does not prolong the pause', waiting, { ...endedForNow, startAtMs: 99 }, waiting],
  ['a process that backs off ignores a spawn', waiting, spawned, waiting],
  ['a process that backs off ignores a due kill', waiting, killDue, waiting],

  ['an exited process starts when a start is asked', exited, start, starting],
  ['an exited process starts when a restart is asked', exited, restart, starting],
  ['an exited process ignores a stop', exited, stop, exited],
  ['an exited process ignores a second end', exited, ended, exited],
  ['an exited process ignores a spawn', exited, spawned, exited],
  ['an exited process ignores a due kill', exited, killDue, exited],
]
test.each(table)('%s', (_name, from, event, to) => {
  expect(next(from, event)).toEqual(to)
})

test('the table has a row for each state and event', () => {
  const states = ['starting', 'running', 'stopping', 'backing-off', 'exited'] satisfies State['tag'][]
  const events = ['spawned', 'stopAsked', 'killDue', 'ended', 'startAsked'] satisfies Event['tag'][]
  const rows = new Set(table.map(([, from, event]) => `${from.tag} ${event.tag}`))
  expect(rows.size).toBe(states.length * events.length)
})

test('an event without effect returns the same state object', () => {
  expect(next(running, start)).toBe(running)
  expect(next(killed, killDue)).toBe(killed)
  expect(next(exited, stop)).toBe(exited)
})

test.each<[name: string, state: State, timed: ReturnType<typeof timedEvent>]>([
  ['a stopping process is killed at killAtMs', stopping, { atMs: 5_000, event: killDue }],
  ['a killed process has no further timed event', killed, undefined],
  ['a process that backs off starts at startAtMs', waiting, { atMs: 9, event: start }],
  ['a starting process has no timed event', starting, undefined],
  ['a running process has no timed event', running, undefined],
  ['an exited process has no timed event', exited, undefined],
])('%s', (_name, state, timed) => {
  expect(timedEvent(state)).toEqual(timed)
})
