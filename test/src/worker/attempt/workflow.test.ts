import { describe, expect, it } from 'vitest'
import type { State } from '../../../../src/app/outcome.ts'
import { createMessage, decodeBody } from '../../../../src/message/message.ts'
import type { Embed } from '../../../../src/message/signature.ts'
import { workflowOf } from '../../../../src/worker/attempt/workflow.ts'
import { chainOf, chordOf, groupOf, task } from '../../../support/signatures.ts'

const delivery = { message: createMessage({ id: 'me', task: 't', args: [], headers: { root_id: 'root' } }) }
const end = (embed: unknown, state: State = 'SUCCESS', value: unknown = 7) => {
  const reported: string[] = []
  const report = (error: unknown, part: string) => void reported.push(`${part}: ${(error as Error).message}`)
  const route = (name: string) => (name === 'slow' ? { queue: 'slow', priority: 4 } : undefined)
  return {
    workflow: workflowOf(delivery, embed as Embed, { state, value }, { report, route, inherited: { traceparent: 'x' } }),
    reported,
  }
}
const sent = ({ workflow }: ReturnType<typeof end>) =>
  (workflow?.plan?.messages ?? []).map(({ headers, body }) => [headers.task, decodeBody(body).args])
const id = (name: string, more: object = {}) => task(name, [], { task_id: `id of ${name}`, ...more })

describe('the next steps of a workflow', () => {
  it.each([
    ['a plain task', {}],
    ['a plain task that Python sent', { callbacks: null, errbacks: null, chain: null, chord: null }],
    ['the last task of a chain', { chain: [] }],
    ['a successful task with an errback', { errbacks: [task('e')] }],
  ])('are absent for %s', (_what, embed) => {
    expect(end(embed)).toEqual({ workflow: undefined, reported: [] })
  })

  it.each(['RETRY', 'STARTED'] as const)('are absent while the task is in the state %s', (state) => {
    const embed = { callbacks: [task('c')], errbacks: [task('e')], chain: [id('n')], chord: id('b') }
    expect(end(embed, state).workflow).toBeUndefined()
  })

  it('are the callbacks and the next step of the chain, with the result as argument and as children of the task', () => {
    const ended = end({ callbacks: [task('c', [1]), chainOf([task('d'), task('e')])], chain: [id('last'), id('slow')] })
    expect(sent(ended)).toEqual([
      ['c', [7, 1]],
      ['d', [7]],
      ['slow', [7]],
    ])
    const [, , next] = ended.workflow!.plan!.messages
    expect(next).toMatchObject({
      queue: 'slow',
      priority: 4,
      headers: { id: 'id of slow', parent_id: 'me', root_id: 'root', traceparent: 'x' },
    })
    expect(decodeBody(next!.body).embed.chain).toEqual([id('last')])
    expect(ended.workflow!.children).toEqual(ended.workflow!.plan!.messages.map(({ headers }) => headers.id))
    expect(ended.workflow!.countsForChord).toBeUndefined()
  })

  it('are a group at the end of a chain, and a chord when a step follows the group', () => {
    const group = groupOf([id('a'), id('b')], { task_id: 'g' })
    expect(end({ chain: [group] }).workflow).toMatchObject({
      plan: { groups: [{ id: 'g', members: ['id of a', 'id of b'] }], chords: [] },
      children: [{ group: 'g' }],
    })
    const { workflow } = end({ chain: [id('body'), group] })
    expect(workflow!.plan!.chords).toMatchObject([
      { id: 'g', members: ['id of a', 'id of b'], rootId: 'root', body: { task: 'body' } },
    ])
    expect(workflow!.plan!.messages.map(({ body }) => decodeBody(body).embed.chord?.options.task_id)).toEqual([
      'id of body',
      'id of body',
    ])
  })

  it('count the task as an ended member of its chord', () => {
    expect(end({ chord: id('body') }).workflow).toEqual({ countsForChord: true })
    expect(end({ chord: id('body') }, 'FAILURE').workflow).toEqual({ countsForChord: true })
  })

  it.each(['FAILURE', 'REVOKED'] as const)(
    'are the errbacks, with the id of the task as argument, and outcomes for the rest of its chain when the task ended as %s',
    (state) => {
      const inner = chordOf([id('h')], id('b', { chord: id('outer') }))
      const ended = end({ callbacks: [task('c')], errbacks: [task('e'), task('f', [1])], chain: [inner, id('n')] }, state)
      expect(sent(ended)).toEqual([
        ['e', ['me']],
        ['f', ['me', 1]],
      ])
      expect(ended.workflow!.unreachable).toEqual([
        { id: 'id of n', task: 'n', countsForChord: false },
        { id: 'id of h', task: 'h', countsForChord: false },
        { id: 'id of b', task: 'b', countsForChord: true },
      ])
    },
  )

  it.each([
    [{ callbacks: 'x' }, 'SUCCESS', 'callbacks: embed.callbacks must be a list'],
    [
      { callbacks: [{}, 1] },
      'SUCCESS',
      'callbacks: the signature is invalid: task must be a name of 1 to 200 characters, not undefined',
    ],
    [{ chain: [{ task: 't', args: 3 }] }, 'SUCCESS', 'chain: the signature is invalid: t: args must be a list'],
    [{ chain: { task: 't' } }, 'FAILURE', 'chain: embed.chain must be a list'],
    [{ chain: [null] }, 'FAILURE', 'chain: the signature is invalid: a signature must be an object, not null'],
    [
      { errbacks: [task('t', [], { task_id: 1 as never })] },
      'FAILURE',
      /^errbacks: .*options.task_id must be a text of 1 to 255 characters, not 1/,
    ],
    [
      { chain: [task('t', [], { countdown: 'soon' as never })] },
      'SUCCESS',
      /^chain: .*options.countdown must be a number of seconds, not "soon"/,
    ],
    [{ chain: [chainOf([{ ...groupOf([]), kwargs: {} }])] }, 'SUCCESS', /^chain: .*celery.group: kwargs.tasks must be a list/],
    [{ callbacks: [{ ...chordOf([], task('b')), kwargs: { header: [] } }] }, 'SUCCESS', /^callbacks: .*kwargs.body is missing/],
  ] as const)('leave out and report the invalid signatures of %j', (embed, state, problem) => {
    const { workflow, reported } = end(embed, state)
    expect(workflow?.plan?.messages ?? []).toEqual([])
    expect(reported[0]).toMatch(problem)
  })

  it('contain the valid callbacks beside an invalid callback', () => {
    const ended = end({ callbacks: [42, task('c')], chain: [id('n')] })
    expect(sent(ended)).toEqual([
      ['c', [7]],
      ['n', [7]],
    ])
    expect(ended.reported).toHaveLength(1)
  })

  it('do not throw for signatures that are nested too deeply', () => {
    let deep: unknown = task('t')
    for (let depth = 0; depth < 5000; depth++) deep = chainOf([deep as never])
    expect(end({ callbacks: [deep] }).reported).toEqual([
      'callbacks: the signature is invalid: signatures are nested more than 100 levels deep',
    ])
  })
})
