import { describe, expect, it } from 'vitest'
import { followersOf, withFollowersAddressed } from '../../../../src/broker/celery-results/followers.ts'
import { createMessage } from '../../../../src/message/message.ts'
import type { Embed, Signature, SignatureOptions } from '../../../../src/message/signature.ts'

const signature = (options: SignatureOptions, kwargs = {}, subtask_type: string | null = null): Signature => ({
  ...{ task: 'tasks.next', args: [], kwargs, options, subtask_type, immutable: false },
})
const task = (task_id: string, more: SignatureOptions = {}) => signature({ task_id, ...more })
const messageWith = (embed: Embed) => createMessage({ id: 'first', task: 'tasks.first', args: [2 ** 53], embed })

describe('what may follow from a message', () => {
  it.each<[string, Embed, string[]]>([
    ['nothing', {}, []],
    ['the rest of its chain', { chain: [task('c'), task('b')] }, ['c', 'b']],
    ['callbacks and errbacks that have their ids', { callbacks: [task('a'), signature({})], errbacks: [task('b')] }, ['a', 'b']],
    ['the body of its chord', { chord: task('body') }, ['body']],
    [
      'a chain in a group',
      { chain: [signature({ task_id: 'g' }, { tasks: [signature({}, { tasks: [task('a')] }, 'chain')] }, 'group')] },
      ['a'],
    ],
    [
      'a chord',
      {
        chain: [
          signature(
            {},
            { header: signature({}, { tasks: [task('a', { chord: task('b') })] }, 'group'), body: task('b') },
            'chord',
          ),
        ],
      },
      ['a', 'b', 'b'],
    ],
    ['callbacks of those', { chain: [task('a', { link: task('b'), link_error: [task('c')] })] }, ['a', 'b', 'c']],
  ])('%s', (_name, embed, ids) => expect(followersOf(messageWith(embed)).map(({ id }) => id)).toEqual(ids))

  it('has a name and a queue', () => {
    expect(followersOf(messageWith({ chain: [task('a', { queue: 'q' }), task('b')] }))).toEqual([
      { id: 'a', task: 'tasks.next', queue: 'q' },
      { id: 'b', task: 'tasks.next', queue: null },
    ])
  })

  it('is given an address, unless it has one; arguments stay as they are', () => {
    const message = messageWith({ chain: [task('a', { reply_to: 'theirs' }), task('b')] })
    const { body } = withFollowersAddressed(message, 'ours')
    expect(body).toBe(messageWith({ chain: [task('a', { reply_to: 'theirs' }), task('b', { reply_to: 'ours' })] }).body)
  })

  it.each([
    [
      'holds what only others can hold',
      '[[],{},{"chain":[{"task":"t","args":[18446744073709551617],"options":{"task_id":"a"}}]}]',
    ],
    ['is no body', '"task_id"'],
    ['cannot be read', '[[],{},{"task_id"'],
  ])('is left alone in a message that %s', (_name, body) => {
    const message = { ...messageWith({}), body }
    expect(withFollowersAddressed(message, 'ours')).toEqual(message)
  })
})
