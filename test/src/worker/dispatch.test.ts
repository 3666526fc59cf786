import { expect, test } from 'vitest'
import { next, type WorkerEvent, type WorkerState } from '../../../src/worker/dispatch.ts'

const done = Promise.resolve()
const opening: WorkerState = { tag: 'opening' }
const taking: WorkerState = { tag: 'taking' }
const suspended: WorkerState = { tag: 'suspended' }
const stopping: WorkerState = { tag: 'stopping', done }
const opened: WorkerEvent = { tag: 'opened' }
const suspend: WorkerEvent = { tag: 'suspendAsked' }
const resume: WorkerEvent = { tag: 'resumeAsked' }
const stop: WorkerEvent = { tag: 'stopAsked', done }
const stopAgain: WorkerEvent = { tag: 'stopAsked', done: Promise.resolve() }

test.each<[name: string, from: WorkerState, event: WorkerEvent, to: WorkerState]>([
  ['a worker takes tasks when its consumer is open', opening, opened, taking],
  ['a worker that takes tasks stops starting tasks when it is suspended', taking, suspend, suspended],
  ['a suspended worker starts tasks again when it is resumed', suspended, resume, taking],
  ['a suspended worker stays suspended when it is suspended again', suspended, suspend, suspended],
  ['a worker that takes tasks ignores a resume', taking, resume, taking],
  ['a worker cannot be suspended before it is open', opening, suspend, opening],
  ['a worker that takes tasks stops when asked', taking, stop, stopping],
  ['a suspended worker stops when asked', suspended, stop, stopping],
  ['a worker that is not open yet stops when asked', opening, stop, stopping],
  ['a stopping worker stays stopping when it is resumed', stopping, resume, stopping],
  ['a stopping worker stays stopping when it is suspended', stopping, suspend, stopping],
  ['a stopping worker stays stopping when its consumer opens', stopping, opened, stopping],
])('%s', (_name, from, event, to) => expect(next(from, event)).toEqual(to))

test('a second stop of a worker returns the promise of the first stop', () => {
  expect(next(stopping, stopAgain)).toBe(stopping)
})
