import { describe, expect, it } from 'vitest'
import { type CelerySignature, messageOfSignature, signaturesOf } from '../../../src/broker/celery-chord-body.ts'
import { dependencyFailed, readGroup, resultsOfGroup } from '../../../src/broker/celery-chord-group.ts'
import { createMessage } from '../../../src/message/message.ts'

const from = createMessage({
  id: 'member',
  task: 'tasks.member',
  args: [],
  priority: 9,
  headers: { root_id: 'root', group: 'g' },
})
const signature = (more: Partial<CelerySignature> = {}): CelerySignature => ({
  ...{ task: 'tasks.sum', args: [4], kwargs: { k: 1 }, subtask_type: null, immutable: false },
  ...more,
  options: { task_id: 'body', reply_to: 'r', ...more.options },
})

describe('the message of a body', () => {
  it('has the results before its own arguments, and belongs to the workflow', () => {
    expect(messageOfSignature(signature({ options: { group_id: 'g' } }), ['[1, 18446744073709551617]'], from)).toEqual({
      headers: { id: 'body', task: 'tasks.sum', root_id: 'root', parent_id: 'member', group: 'g' },
      properties: { reply_to: 'r' },
      body: '[[[1, 18446744073709551617], 4], {"k":1}, {"callbacks":null,"errbacks":null,"chain":null,"chord":null}]',
      queue: 'celery',
      priority: 9,
    })
  })

  it.each<[string, Record<string, unknown>, object]>([
    ['a queue', { queue: 'q', routing_key: 'r' }, { queue: 'q' }],
    ['a routing key', { routing_key: 'r' }, { queue: 'r' }],
    ['a priority', { priority: 3 }, { priority: 3 }],
    ['an eta', { eta: '2026-11-22T12:00:00+00:00' }, { headers: { eta: '2026-11-22T12:00:00+00:00' } }],
    ['limits', { time_limit: 5 }, { headers: { timelimit: [5, null] } }],
    ['headers', { headers: { own: 1 } }, { headers: { own: 1 } }],
    ['a place in another group', { group_id: 'h', group_index: 2 }, { headers: { group: 'h', group_index: 2 } }],
  ])('follows %s', (_name, options, expected) => {
    expect(messageOfSignature(signature({ options }), [], from)).toMatchObject(expected)
  })

  it('leaves an immutable signature alone', () => {
    expect(messageOfSignature(signature({ immutable: true }), ['[1]'], from).body).toMatch(/^\[\[4\], /)
  })

  it('takes its callbacks along', () => {
    const [link, link_error] = [signature(), [signature()]]
    const { body } = messageOfSignature(signature({ options: { link, link_error } }), [], from)
    expect(JSON.parse(body)[2]).toMatchObject({ callbacks: [link], errbacks: link_error })
  })

  it('sends a chain as its first task, with the rest in reverse', () => {
    const [one, two, three] = ['one', 'two', 'three'].map((task_id) => signature({ options: { task_id } }))
    const chain = signature({ task: 'celery.chain', kwargs: { tasks: [one, two, three] }, subtask_type: 'chain' })
    const { headers, body } = messageOfSignature(chain, ['[1]'], from)
    expect(headers.id).toBe('one')
    expect(JSON.parse(body)[2].chain).toEqual([three, two])
  })

  it.each<[string, Partial<CelerySignature>]>([
    ['a group', { subtask_type: 'group' }],
    ['a chord', { subtask_type: 'chord' }],
    ['an empty chain', { subtask_type: 'chain', kwargs: { tasks: [] } }],
    ['a chain that begins with a group', { subtask_type: 'chain', kwargs: { tasks: [signature({ subtask_type: 'group' })] } }],
    ['a signature without an id', { options: { task_id: null } }],
  ])('refuses %s', (_name, more) => expect(() => messageOfSignature(signature(more), [], from)).toThrow(TypeError))
})

describe('callbacks', () => {
  it.each<[string, unknown, number]>([
    ['none', null, 0],
    ['one', { task: 't' }, 1],
    ['several', [{ task: 't' }, { task: 'u' }], 2],
    ['what is none', ['t', 7, null, {}], 0],
  ])('%s', (_name, value, count) => expect(signaturesOf(value)).toHaveLength(count))
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
