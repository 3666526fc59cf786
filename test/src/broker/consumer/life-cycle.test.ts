import { describe, expect, it } from 'vitest'
import { type ConsumerEvent, type ConsumerState, next } from '../../../../src/broker/consumer/life-cycle.ts'

const registering: ConsumerState = { phase: 'registering', link: 'sound' }
const running: ConsumerState = { phase: 'running', link: 'sound', mayHoldMore: true }
const drained: ConsumerState = { phase: 'running', link: 'sound', mayHoldMore: false }
const inDoubt: ConsumerState = { phase: 'running', link: 'in-doubt', mayHoldMore: false }
const recovering: ConsumerState = { phase: 'running', link: 'recovering', mayHoldMore: false }
const stopping: ConsumerState = { phase: 'stopping', link: 'sound' }
const flushing: ConsumerState = { phase: 'flushing', link: 'sound' }
const closed: ConsumerState = { phase: 'closed' }

const STATES = { registering, running, drained, inDoubt, recovering, stopping, flushing, closed }

/** Every event in every state; `=` stands for no change. */
const TABLE: Record<keyof typeof STATES, Record<ConsumerEvent, ConsumerState | '='>> = {
  registering: {
    registered: running,
    'messages-signalled': '=',
    'claim-sent': '=',
    'link-failed': { phase: 'registering', link: 'in-doubt' },
    'recovery-started': { phase: 'registering', link: 'recovering' },
    recovered: '=',
    'stop-requested': stopping,
    'close-requested': flushing,
    closed,
  },
  running: {
    registered: '=',
    'messages-signalled': '=',
    'claim-sent': drained,
    'link-failed': { phase: 'running', link: 'in-doubt', mayHoldMore: true },
    'recovery-started': { phase: 'running', link: 'recovering', mayHoldMore: true },
    recovered: '=',
    'stop-requested': stopping,
    'close-requested': flushing,
    closed,
  },
  drained: {
    registered: '=',
    'messages-signalled': running,
    'claim-sent': '=',
    'link-failed': inDoubt,
    'recovery-started': recovering,
    recovered: running,
    'stop-requested': stopping,
    'close-requested': flushing,
    closed,
  },
  inDoubt: {
    registered: '=',
    'messages-signalled': { phase: 'running', link: 'in-doubt', mayHoldMore: true },
    'claim-sent': '=',
    'link-failed': '=',
    'recovery-started': recovering,
    recovered: { phase: 'running', link: 'in-doubt', mayHoldMore: true },
    'stop-requested': { phase: 'stopping', link: 'in-doubt' },
    'close-requested': { phase: 'flushing', link: 'in-doubt' },
    closed,
  },
  recovering: {
    registered: '=',
    'messages-signalled': { phase: 'running', link: 'recovering', mayHoldMore: true },
    'claim-sent': '=',
    'link-failed': inDoubt,
    'recovery-started': '=',
    recovered: running,
    'stop-requested': { phase: 'stopping', link: 'recovering' },
    'close-requested': { phase: 'flushing', link: 'recovering' },
    closed,
  },
  stopping: {
    registered: '=',
    'messages-signalled': '=',
    'claim-sent': '=',
    'link-failed': { phase: 'stopping', link: 'in-doubt' },
    'recovery-started': { phase: 'stopping', link: 'recovering' },
    recovered: '=',
    'stop-requested': '=',
    'close-requested': flushing,
    closed,
  },
  flushing: {
    registered: '=',
    'messages-signalled': '=',
    'claim-sent': '=',
    'link-failed': { phase: 'flushing', link: 'in-doubt' },
    'recovery-started': { phase: 'flushing', link: 'recovering' },
    recovered: '=',
    'stop-requested': '=',
    'close-requested': '=',
    closed,
  },
  closed: {
    registered: '=',
    'messages-signalled': '=',
    'claim-sent': '=',
    'link-failed': '=',
    'recovery-started': '=',
    recovered: '=',
    'stop-requested': '=',
    'close-requested': '=',
    closed: '=',
  },
}

const CASES = Object.entries(TABLE).flatMap(([name, row]) =>
  Object.entries(row).map(([event, expected]) => {
    const state = STATES[name as keyof typeof STATES]
    return [name, event as ConsumerEvent, state, expected === '=' ? state : expected] as const
  }),
)

describe('the state of a consumer', () => {
  it.each(CASES)('"%s", on the event "%s", goes from %j to %j', (_name, event, state, expected) => {
    expect(next(state, event)).toEqual(expected)
  })

  it('is the same object after an event that changes nothing', () => {
    for (const [, event, state, expected] of CASES) if (state === expected) expect(next(state, event)).toBe(state)
  })

  it('is still in doubt after a recovery during which the link failed', () => {
    const events: ConsumerEvent[] = ['link-failed', 'recovery-started', 'link-failed', 'recovered']
    expect(events.reduce(next, running)).toMatchObject({ link: 'in-doubt' })
  })
})
