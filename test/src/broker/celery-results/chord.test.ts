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

describe('partsOf', () => {
  it.each<[string, Message, 'SUCCESS' | 'FAILURE', unknown[]]>([
    ['the task itself', member({ chord }), 'SUCCESS', [own]],
    ['the task without a position', member({ chord }, { group: 'g' }), 'FAILURE', [{ ...own, index: undefined }]],
    ['nothing in a plain group', member({ chord: null }), 'SUCCESS', []],
    ['nothing without a group', member({ chord }, {}), 'SUCCESS', []],
    ['nothing for a step before the last of its chain', member({ chain, chord: null }, {}), 'SUCCESS', []],
    [
      'the last step of its chain, which failed',
      member({ chain, chord: null }, {}),
      'FAILURE',
      [{ ...own, id: 'last', group: 'h', index: 1 }],
    ],
    [
      'the task and the last step of its chain after a failure',
      member({ chain, chord }),
      'FAILURE',
      [own, { ...own, id: 'last', group: 'h', index: 1 }],
    ],
    ['nothing for malformed options', member({ chord: { x: 1 }, chain: [null, 7, {}] }, { group: 7 }), 'FAILURE', []],
    ['nothing for a body that is not JSON', { ...member({}), body: '"chord": {' }, 'FAILURE', []],
    ['the task of a protocol 1 message', { ...member({}), body: JSON.stringify({ args: [], chord }, null, 1) }, 'SUCCESS', [own]],
  ])('finds %s', (_name, message, state, expected) => expect(partsOf(message, { id: 'member', state })).toEqual(expected))
})

describe('a chord header with groups', () => {
  const saved =
    '{"result": [["g", null], [[["a", null], null], [["h", ["g", null]], [[["b", null], null], [["c", null], null]]]]]}'
  const document = (result: unknown, status = 'SUCCESS') => JSON.stringify({ status, result })

  it('keeps its structure in the results', () => {
    const group = readGroup(saved)!
    expect(group.ids).toEqual(['a', 'b', 'c'])
    expect(resultsOfGroup(group, [document(1), document([2]), document('3')])).toEqual({ values: ['1', '[[2], "3"]'] })
  })

  it('names the member that failed or is missing', () => {
    const group = readGroup(saved)!
    const failure = { exc_type: 'KeyError', exc_message: ['k', 7], exc_module: 'builtins' }
    expect(resultsOfGroup(group, [document(1), document(failure, 'FAILURE'), null])).toEqual({
      problem: "Dependency b raised KeyError('k', 7)",
    })
    expect(resultsOfGroup(group, [document(1), document(2), null])).toEqual({
      problem: 'Join error: the result of c is not there',
    })
  })

  it.each(['', 'hello', '{"result": null}', '{"result": [["g", null], null]}'])('is not read from %j', (text) => {
    expect(readGroup(text)).toBeUndefined()
  })
})

describe('dependencyFailed', () => {
  it.each([
    ['{"exc_type": "ValueError", "exc_message": ["boom"]}', "Dependency i raised ValueError('boom')"],
    ['{"exc_type": "ValueError", "exc_message": "boom"}', "Dependency i raised ValueError('boom')"],
    ['{"exc_type": "E", "exc_message": ["it\'s", 1, null]}', 'Dependency i raised E("it\'s", 1, null)'],
    ['null', 'Dependency i raised Exception()'],
  ])('describes %s as Celery does', (exception, words) => expect(dependencyFailed('i', exception)).toBe(words))
})
