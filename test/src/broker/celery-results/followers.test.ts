import { describe, expect, it } from 'vitest'
import { followersOf, withFollowersAddressed } from '../../../../src/broker/celery-results/followers.ts'
import { createMessage } from '../../../../src/message/message.ts'
import type { Embed, Signature, SignatureOptions } from '../../../../src/message/signature.ts'

const signature = (options: SignatureOptions, kwargs = {}, subtask_type: string | null = null): Signature => ({
  ...{ task: 'tasks.next', args: [], kwargs, options, subtask_type, immutable: false },
})
const task = (task_id: string, more: SignatureOptions = {}) => signature({ task_id, ...more })
const messageWith = (embed: Embed) => createMessage({ id: 'first', task: 'tasks.first', args: [2 ** 53], embed })

describe('the followers of a message', () => {
  it.each<[string, Embed, string[]]>([
    ['nothing without an embed', {}, []],
    ['the rest of its chain', { chain: [task('c'), task('b')] }, ['c', 'b']],
    ['callbacks and errbacks with ids', { callbacks: [task('a'), signature({})], errbacks: [task('b')] }, ['a', 'b']],
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
    ['callbacks of later steps', { chain: [task('a', { link: task('b'), link_error: [task('c')] })] }, ['a', 'b', 'c']],
  ])('include %s', (_name, embed, ids) => expect(followersOf(messageWith(embed)).map(({ id }) => id)).toEqual(ids))

  it('have a name and a queue', () => {
    expect(followersOf(messageWith({ chain: [task('a', { queue: 'q' }), task('b')] }))).toEqual([
      { id: 'a', task: 'tasks.next', queue: 'q' },
      { id: 'b', task: 'tasks.next', queue: null },
    ])
  })

  it('receive the reply address unless they have their own, and keep their arguments', () => {
    const message = messageWith({ chain: [task('a', { reply_to: 'theirs' }), task('b')] })
    const { body } = withFollowersAddressed(message, 'ours')
    expect(body).toBe(messageWith({ chain: [task('a', { reply_to: 'theirs' }), task('b', { reply_to: 'ours' })] }).body)
  })

  it.each([
    [
      'holds values that only Python can represent',
      '[[],{},{"chain":[{"task":"t","args":[18446744073709551617],"options":{"task_id":"a"}}]}]',
    ],
    ['is not an object', '"task_id"'],
    ['cannot be read', '[[],{},{"task_id"'],
  ])('are not changed in a body that %s', (_name, body) => {
    const message = { ...messageWith({}), body }
    expect(withFollowersAddressed(message, 'ours')).toEqual(message)
  })
})
