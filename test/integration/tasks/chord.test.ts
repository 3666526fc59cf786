import { expect, it } from 'vitest'
import { chain, chord, group } from '../../../src/app/canvas/canvas.ts'
import type { GroupResult } from '../../../src/app/results/handles.ts'
import { onEveryBroker } from '../../support/task-worker.ts'
import { until } from '../../support/until.ts'
import { composable } from './compositions.ts'

const WAIT = { timeoutMs: 15_000 }

onEveryBroker('a chord', (at) => {
  it('gives its body the results of its header, in their order', async () => {
    const { add, note } = composable(at.app)
    await at.work()
    const header = Array.from({ length: 20 }, (_, n) => add.s(n, n))
    const result = await chord(header, note.s()).delay()
    expect(await result.get(WAIT)).toEqual(Array.from({ length: 20 }, (_, n) => 2 * n))
    expect(await (result.parent as GroupResult).completedCount()).toBe(20)
    expect(await at.rows('SELECT id FROM $chord')).toEqual([])
  })

  it('starts its body at once if its header is empty', async () => {
    const { sum } = composable(at.app)
    await at.work()
    expect(await (await chord([], sum.s()).delay()).get(WAIT)).toBe(0)
  })

  it('fails at once when a member of its header fails, and its errback is called', async () => {
    const { fail, note, runs } = composable(at.app)
    let release = () => {}
    const held = at.app.task('held', () => new Promise<number>((resolve) => (release = () => resolve(1))))
    await at.work()
    const result = await chord([held.s(), fail.s('x')], chain(note.s(), note.s()))
      .linkError(note.s())
      .delay()
    await expect(result.get(WAIT)).rejects.toMatchObject({
      excType: 'ChordError',
      message: expect.stringContaining('Dependency'),
    })
    expect(await at.ended(result.parent!.id)).toMatchObject({ state: 'FAILURE' })
    await until('the errback', () => runs.some(([name]) => name === 'note'))
    release()
    await at.ended((result.parent!.parent as GroupResult).results[0]!.id)
    expect(runs.filter(([name]) => name === 'note')).toEqual([['note', result.id]])
  })

  it('within a chain returns the result of a header that has chains, groups and chords', async () => {
    const { add, mul, sum, note } = composable(at.app)
    await at.work()
    const inner = chord([add.s(1), mul.s(2)], sum.s())
    const result = await chain(
      add.s(1, 2),
      group([chain(add.s(1), mul.s(10)), group([add.s(2), add.s(3)]), inner, chain(add.s(1), group([mul.s(2), mul.s(3)]))]),
      group([sum.s(), note.s()]),
      note.s(),
    ).delay()
    const header = [40, 5, 6, 10, 8, 12]
    expect(await result.get(WAIT)).toEqual([header.reduce((a, b) => a + b, 0), header])
    expect(await at.rows('SELECT id FROM $chord')).toEqual([])
  })

  it('counts a member as failed if the member is revoked or the chain of the member fails', async () => {
    const { add, fail, sum, runs } = composable(at.app)
    await at.work()
    const late = await chord([add.s(1, 2), add.s(3, 4).set({ expires: -1 })], sum.s()).delay()
    await expect(late.get(WAIT)).rejects.toMatchObject({ excType: 'ChordError' })
    const broken = await chord([add.s(1, 2), chain(fail.s('x'), add.s(1))], sum.s()).delay()
    await expect(broken.get(WAIT)).rejects.toMatchObject({ excType: 'ChordError' })
    expect(runs.some(([name]) => name === 'sum')).toBe(false)
  })

  it('waits for members that are retried before it runs its body', async () => {
    const { add, sum } = composable(at.app)
    let runs = 0
    const flaky = at.app.task(
      'flaky',
      () => {
        if (++runs < 2) throw new Error('not yet')
        return 10
      },
      { autoretryFor: [Error], retryDelay: 0 },
    )
    await at.work()
    expect(await (await chord([flaky.s(), add.s(1, 2)], sum.s()).delay()).get(WAIT)).toBe(13)
  })

  it('gives its body the results of members that have ignoreResult', async () => {
    const { add, note } = composable(at.app)
    await at.work()
    const result = await chord([add.s(1, 2).set({ ignoreResult: true }), add.s(3, 4)], note.s()).delay()
    expect(await result.get(WAIT)).toEqual([3, 7])
  })
})
