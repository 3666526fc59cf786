import { describe, expect, it } from 'vitest'
import { dependencyFailed, readGroup, resultsOfGroup } from '../../../../src/broker/celery-results/chord-group.ts'
import { partsOf } from '../../../../src/broker/celery-results/chord-part.ts'
import { createMessage, type Message } from '../../../../src/message/message.ts'
import type { Signature, SignatureOptions } from '../../../../src/message/signature.ts'

const signature = (options: SignatureOptions): Signature => ({
  ...{ task: 'tasks.sum', args: [], kwargs: {}, options, subtask_type: null, immutable: false },
})
const chord = signature({ task_id: 'body' })
const member = (embed: object, headers: object = { group: 'g', group_index: 2 }): Message => ({
  ...createMessage({ id: 'member', task: 'tasks.member', args: [], headers: { ...headers } }),
  body: JSON.stringify([[], {}, embed], null, 1),
})
const own = { id: 'member', group: 'g', index: 2, body: chord }
const chain = [signature({ task_id: 'last', group_id: 'h', group_index: 1, chord }), signature({ task_id: 'next' })]

describe('members of a chord that end with a message', () => {
  it.each<[string, Message, 'SUCCESS' | 'FAILURE', unknown[]]>([
    ['the task', member({ chord }), 'SUCCESS', [own]],
    ['the task without a place', member({ chord }, { group: 'g' }), 'FAILURE', [{ ...own, index: undefined }]],
    ['none of a plain group', member({ chord: null }), 'SUCCESS', []],
    ['none without a group', member({ chord }, {}), 'SUCCESS', []],
    ['not yet the last of its chain', member({ chain, chord: null }, {}), 'SUCCESS', []],
    [
      'the last of its chain, which failed',
      member({ chain, chord: null }, {}),
      'FAILURE',
      [{ ...own, id: 'last', group: 'h', index: 1 }],
    ],
    ['both', member({ chain, chord }), 'FAILURE', [own, { ...own, id: 'last', group: 'h', index: 1 }]],
    ['none of what makes no sense', member({ chord: { x: 1 }, chain: [null, 7, {}] }, { group: 7 }), 'FAILURE', []],
    ['none of what is no body', { ...member({}), body: '"chord": {' }, 'FAILURE', []],
    ['the task, in protocol 1', { ...member({}), body: JSON.stringify({ args: [], chord }, null, 1) }, 'SUCCESS', [own]],
  ])('%s', (_name, message, state, expected) => expect(partsOf(message, { id: 'member', state })).toEqual(expected))
})

describe('a header with groups inside', () => {
  const saved =
    '{"result": [["g", null], [[["a", null], null], [["h", ["g", null]], [[["b", null], null], [["c", null], null]]]]]}'
  const document = (result: unknown, status = 'SUCCESS') => JSON.stringify({ status, result })

  it('gives its results in its shape', () => {
    const group = readGroup(saved)!
    expect(group.ids).toEqual(['a', 'b', 'c'])
    expect(resultsOfGroup(group, [document(1), document([2]), document('3')])).toEqual({ values: ['1', '[[2], "3"]'] })
  })

  it('tells which member failed, or is missing', () => {
    const group = readGroup(saved)!
    const failure = { exc_type: 'KeyError', exc_message: ['k', 7], exc_module: 'builtins' }
    expect(resultsOfGroup(group, [document(1), document(failure, 'FAILURE'), null])).toEqual({
      problem: "Dependency b raised KeyError('k', 7)",
    })
    expect(resultsOfGroup(group, [document(1), document(2), null])).toEqual({
      problem: 'Join error: the result of c is not there',
    })
  })

  it.each(['', 'hello', '{"result": null}', '{"result": [["g", null], null]}'])('%j is none', (text) => {
    expect(readGroup(text)).toBeUndefined()
  })
})

describe('a member that failed', () => {
  it.each([
    ['{"exc_type": "ValueError", "exc_message": ["boom"]}', "Dependency i raised ValueError('boom')"],
    ['{"exc_type": "ValueError", "exc_message": "boom"}', "Dependency i raised ValueError('boom')"],
    ['{"exc_type": "E", "exc_message": ["it\'s", 1, null]}', 'Dependency i raised E("it\'s", 1, null)'],
    ['null', 'Dependency i raised Exception()'],
  ])('%s', (exception, words) => expect(dependencyFailed('i', exception)).toBe(words))
})
