import { describe, expect, it } from 'vitest'
import type { Outcome, State } from '../../../src/app/outcome.ts'
import { lastOfEach, withoutValue } from '../../../src/database/outcome-columns.ts'

const outcome = (state: State, result: string | null = null): Outcome => {
  return { id: 'a', task: 't', state, result, traceback: null, queue: 'q', retries: 0, startedAt: 1, doneAt: null }
}

describe('several outcomes of one task in one statement', () => {
  it.each<[State[], State]>([
    [['STARTED', 'SUCCESS'], 'SUCCESS'],
    [['SUCCESS', 'STARTED'], 'SUCCESS'],
    [['STARTED', 'RETRY'], 'RETRY'],
    [['RETRY', 'STARTED'], 'RETRY'],
    [['RETRY', 'FAILURE'], 'FAILURE'],
    [['FAILURE', 'RETRY'], 'FAILURE'],
    [['SUCCESS', 'FAILURE'], 'SUCCESS'],
    [['REVOKED', 'SUCCESS'], 'REVOKED'],
  ])('with the states %j leave the task in the state %s', (states, stored) => {
    expect(lastOfEach(states.map((state) => outcome(state))).map(({ state }) => state)).toEqual([stored])
  })

  it('keep the first of two final outcomes, and null is skipped', () => {
    const [first, second] = [outcome('RETRY', '1'), outcome('RETRY', '2')]
    expect(lastOfEach([null, first, second, { ...second, id: 'b' }])).toEqual([first, { ...second, id: 'b' }])
  })
})

describe('an outcome that the database refuses', () => {
  it('is replaced by a final FAILURE', () => {
    const stored = withoutValue({ ...outcome('RETRY', 'x'), traceback: 'y' }, new Error('no'))
    expect(stored).toMatchObject({ id: 'a', state: 'FAILURE', traceback: null, doneAt: expect.any(Number) })
    expect(JSON.parse(stored.result ?? '').exc_message).toEqual(['the database refused the outcome: no'])
  })
})
