import { describe, expect, it, test } from 'vitest'
import {
  ABANDONED,
  ACKED,
  CHANNEL_CLOSED,
  isEnd,
  isMaybeTaken,
  type JobEvent,
  type JobState,
  next,
  RETURNED,
  WRITTEN,
} from '../../../../src/broker/amqp/job-state.ts'

const error = new Error('the name of a header is too long')
const STATES = {
  waiting: { tag: 'waiting', maybeTaken: false },
  'waiting again': { tag: 'waiting', maybeTaken: true },
  unconfirmed: { tag: 'unconfirmed', returned: false },
  returned: { tag: 'unconfirmed', returned: true },
  confirmed: { tag: 'confirmed' },
  'put off': { tag: 'putOff', reason: 'full' },
  refused: { tag: 'refused', reason: error },
  abandoned: { tag: 'abandoned' },
} satisfies Record<string, JobState>
type Name = keyof typeof STATES

const EVENTS = {
  written: WRITTEN,
  returned: RETURNED,
  acked: ACKED,
  'queue refused, sender waits': { tag: 'queueRefused', reason: 'full', wait: true },
  'queue refused': { tag: 'queueRefused', reason: 'full', wait: false },
  unencodable: { tag: 'unencodable', error },
  'channel closed': CHANNEL_CLOSED,
  abandoned: ABANDONED,
} satisfies Record<string, JobEvent>
type EventName = keyof typeof EVENTS

/** Transitions. A pair that is absent leaves the state as it is. */
const TABLE: [from: Name, event: EventName, to: Name][] = [
  ['waiting', 'written', 'unconfirmed'],
  ['waiting', 'queue refused', 'put off'],
  ['waiting', 'unencodable', 'refused'],
  ['waiting', 'abandoned', 'abandoned'],
  ['waiting again', 'written', 'unconfirmed'],
  ['waiting again', 'queue refused', 'put off'],
  ['waiting again', 'unencodable', 'refused'],
  ['waiting again', 'abandoned', 'abandoned'],
  ['unconfirmed', 'acked', 'confirmed'],
  ['unconfirmed', 'returned', 'returned'],
  ['unconfirmed', 'queue refused, sender waits', 'waiting again'],
  ['unconfirmed', 'queue refused', 'put off'],
  ['unconfirmed', 'channel closed', 'waiting again'],
  ['unconfirmed', 'abandoned', 'abandoned'],
  ['returned', 'acked', 'waiting again'],
  ['returned', 'queue refused, sender waits', 'waiting again'],
  ['returned', 'queue refused', 'waiting again'],
  ['returned', 'channel closed', 'waiting again'],
  ['returned', 'abandoned', 'abandoned'],
]

describe('a job of the AMQP sender', () => {
  test.each(TABLE)('in the state "%s" changes on the event "%s" to "%s"', (from, event, to) => {
    expect(next(STATES[from], EVENTS[event])).toEqual(STATES[to])
  })

  it('does not change on an event that the table does not list', () => {
    const changes = new Set(TABLE.map(([from, event]) => `${from}/${event}`))
    for (const [from, state] of Object.entries(STATES))
      for (const [name, event] of Object.entries(EVENTS))
        if (!changes.has(`${from}/${name}`)) expect(next(state, event)).toEqual(state)
  })
})

it('a job in a final state does not change on any event', () => {
  for (const end of Object.values(STATES).filter(isEnd))
    for (const event of Object.values(EVENTS)) expect(next(end, event)).toBe(end)
})

test.each<[Name, boolean]>([
  ['waiting', false],
  ['waiting again', true],
  ['unconfirmed', true],
  ['returned', true],
  ['put off', false],
])('the server may have the message of a job in the state "%s": %s', (name, maybeTaken) => {
  expect(isMaybeTaken(STATES[name])).toBe(maybeTaken)
})
