import { describe, expect, it } from 'vitest'
import type { Outcome } from '../../../src/app/outcome.ts'
import { notificationOf, parseNotification } from '../../../src/database/notified-outcomes.ts'

const outcome = (given: Partial<Outcome> = {}): Outcome => ({
  ...{ id: 'i', task: 't', state: 'SUCCESS', result: '{"a":1}', traceback: 'at x', queue: 'celery', retries: 0 },
  ...{ startedAt: 1000, doneAt: 2000 },
  ...given,
})

describe('the notification of outcomes', () => {
  it('is parsed into the stored results without stack traces', () => {
    const { payload, final } = notificationOf([outcome()], 'celery@box')
    expect(final).toBe(1)
    expect(parseNotification(payload ?? '')).toEqual([
      {
        ...{
          id: 'i',
          task: 't',
          state: 'SUCCESS',
          result: { a: 1 },
          traceback: null,
          queue: 'celery',
          retries: 0,
          worker: 'celery@box',
          args: null,
        },
        ...{ createdAt: new Date(1000), startedAt: new Date(1000), doneAt: new Date(2000) },
      },
    ])
  })

  it.each([
    ['null if no outcome is final', [outcome({ state: 'STARTED' })], null, 0],
    ['empty if a value is too large', [outcome({ result: JSON.stringify('x'.repeat(8000)) })], '', 1],
    [
      'empty if a value has too many bytes, though not too many characters',
      [outcome({ result: JSON.stringify('ü'.repeat(3900)) })],
      '',
      1,
    ],
    ['empty if there are many outcomes', Array.from({ length: 41 }, () => outcome()), '', 41],
  ])('is %s', (_name, outcomes, payload, final) => expect(notificationOf(outcomes, 'w')).toEqual({ payload, final }))
})
