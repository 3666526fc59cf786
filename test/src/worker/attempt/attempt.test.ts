import { expect, test } from 'vitest'
import { type AttemptState, next, OPEN, RELEASED } from '../../../../src/worker/attempt/attempt.ts'
import { endedBy } from '../../../../src/worker/attempt/ending.ts'

const failed = endedBy('FAILURE', new Error('first'), { startedAt: 1 })
const revoked = endedBy('REVOKED', new Error('second'), { startedAt: 1 })
const over: AttemptState = { tag: 'over' }

test.each<[name: string, from: AttemptState, event: Parameters<typeof next>[1], to: AttemptState]>([
  ['an open attempt accepts an ending', OPEN, failed, failed],
  ['a second ending does not replace the first ending', failed, revoked, failed],
  ['an ending after the release changes nothing', over, failed, over],
  ['an attempt with an ending is over when it is released', failed, RELEASED, over],
  ['an attempt that is requeued is over without an ending', OPEN, RELEASED, over],
  ['a second release changes nothing', over, RELEASED, over],
])('%s', (_name, from, event, to) => expect(next(from, event)).toEqual(to))
