import { expect, it } from 'vitest'
import { chain } from '../../../src/app/canvas/canvas.ts'
import { onEveryBroker } from '../../support/task-worker.ts'
import { until } from '../../support/until.ts'
import { composable } from './compositions.ts'

onEveryBroker('callbacks and errbacks', (at) => {
  it('are sent with the result of a task that succeeds, also if there are several callbacks or a callback is a workflow', async () => {
    const { add, mul, note, runs } = composable(at.app)
    await at.work()
    const { id } = await add
      .s(1, 2)
      .link(mul.s(10))
      .link(chain(add.s(5), note.s()))
      .link(note.si('done'))
      .delay()
    await until('all callbacks', () => runs.length === 5)
    expect(runs.slice(1).toSorted()).toEqual([
      ['add', 3, 5],
      ['mul', 3, 10],
      ['note', 8],
      ['note', 'done'],
    ])
    expect((await at.app.asyncResult(id).children()).length).toBe(3)
  })

  it('are errbacks, not callbacks, if the task fails, and receive the id of the task', async () => {
    const { fail, note, runs } = composable(at.app)
    await at.work()
    const { id } = await fail.s('x').link(note.s()).linkError(note.s()).linkError(note.si('told')).delay()
    await at.ended(id)
    await until('the errbacks', () => runs.length === 3)
    expect(runs.slice(1).toSorted()).toEqual([
      ['note', id],
      ['note', 'told'],
    ])
  })

  it('include the errbacks of tasks that never ran: unknown, expired and undecodable tasks', async () => {
    const { note, runs } = composable(at.app)
    await at.work()
    const unknown = await at.app.signature('nobody.knows').linkError(note.s()).delay()
    const late = await note.s('late').set({ expires: -1 }).linkError(note.s()).delay()
    await until('the errbacks', () => runs.length === 2)
    expect(runs.map(([, id]) => id).toSorted()).toEqual([unknown.id, late.id].toSorted())
  })

  it('are reported when they are invalid, and do not change the outcome of their task', async () => {
    const { note, runs } = composable(at.app)
    await at.work()
    const message = at.app.message('add', [1, 2])
    const bad = { callbacks: [{ task: 7 }, note.s().toJSON(), 'x'], chain: 'nonsense', errbacks: 3, chord: { no: 'body' } }
    await at.broker.publish([{ ...message, body: JSON.stringify([[1, 2], {}, bad]) }])
    expect(await at.ended(message.headers.id)).toMatchObject({ state: 'SUCCESS', result: 3 })
    await until('the callback', () => runs.length === 2)
    expect(at.logged.filter(({ part }) => part !== undefined).map(({ part }) => part)).toEqual([
      'callbacks',
      'callbacks',
      'chain',
    ])
  })
})
