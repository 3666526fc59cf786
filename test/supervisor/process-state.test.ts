import { expect, test } from 'vitest'
import { type Event, next, type State } from '../../supervisor/process-state.ts'

const starting: State = { tag: 'starting' }
const running: State = { tag: 'running', pid: 7, sinceMs: 1 }
const stopping: State = { tag: 'stopping', pid: 7, killAtMs: 5_000, thenStart: false }
const restarting: State = { ...stopping, thenStart: true }
const failed = { code: 1 }
const waiting: State = { tag: 'backing-off', startAtMs: 9, exit: failed }
const exited: State = { tag: 'exited', exit: failed }
const spawned: Event = { tag: 'spawned', pid: 7, atMs: 1 }
const stop: Event = { tag: 'stopAsked', killAtMs: 5_000, thenStart: false }
const restart: Event = { ...stop, thenStart: true }
const ended: Event = { tag: 'ended', exit: failed }
const endedForNow: Event = { ...ended, startAtMs: 9 }
const start: Event = { tag: 'startAsked' }

const table: [name: string, from: State, event: Event, to: State][] = [
  ['a spawned process is running', starting, spawned, running],
  ['a process that cannot be spawned is over', starting, ended, exited],
  ['one that cannot be spawned may be tried again', starting, endedForNow, waiting],
  ['asking to stop starts the grace period', running, stop, stopping],
  ['asking again does not extend it', stopping, { ...stop, killAtMs: 9_000 }, stopping],
  ['asking again may shorten it', stopping, { ...stop, killAtMs: 3_000 }, { ...stopping, killAtMs: 3_000 }],
  ['a process that ends while it is stopped is over', stopping, ended, exited],
  ['its restart policy has no say then', stopping, endedForNow, exited],
  ['a process that ends by itself is over', running, ended, exited],
  ['a process that its policy wants back waits', running, endedForNow, waiting],
  ['it starts when the pause is over', waiting, start, starting],
  ['stopping one that waits ends it with its last exit', waiting, stop, exited],
  ['restarting one that waits starts it now', waiting, restart, starting],
  ['a restart stops first', running, restart, restarting],
  ['and starts then', restarting, ended, starting],
  ['a stop wins over a restart', restarting, stop, stopping],
  ['a restart does not win over a stop', stopping, restart, stopping],
  ['an ended process can be started', exited, start, starting],
  ['starting a running process does nothing', running, start, running],
  ['starting one that stops does nothing', stopping, start, stopping],
  ['stopping an ended process does nothing', exited, stop, exited],
  ['a second end does nothing', exited, ended, exited],
  ['a second end does not prolong a pause', waiting, { ...endedForNow, startAtMs: 99 }, waiting],
]
test.each(table)('%s', (_name, from, event, to) => {
  expect(next(from, event)).toEqual(to)
})
