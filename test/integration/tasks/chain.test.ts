import { expect, it } from 'vitest'
import { chain, group } from '../../../src/app/canvas/canvas.ts'
import type { GroupResult } from '../../../src/app/results/handles.ts'
import { onEveryBroker } from '../../support/task-worker.ts'
import { until } from '../../support/until.ts'
import { composable } from './compositions.ts'

const WAIT = { timeoutMs: 15_000 }

onEveryBroker('a chain', (at) => {
  it('gives each step the result of the step before, and gives the caller the result of the last step', async () => {
    const { add, mul, note, runs } = composable(at.app)
    await at.work()
    const last = await chain(add.s(1, 2), mul.s(3), add.s(4), note.si('done'), note.s()).delay()
    expect(await last.get(WAIT)).toBe('done')
    expect(runs.slice(0, 3)).toEqual([
      ['add', 1, 2],
      ['mul', 3, 3],
      ['add', 9, 4],
    ])
    expect(await last.parent!.parent!.parent!.parent!.id).toBe(last.root.id)
    const first = await at.ended(last.root.id)
    expect(await at.ended(last.id)).toMatchObject({ rootId: first.id, parentId: last.parent!.id })
    const [child] = await at.app.asyncResult(first.id).children()
    expect(child!.id).toBe(last.parent!.parent!.parent!.id)
  })

  it('runs no further step after a failed step, stores a FAILURE for each remaining step and calls the errback once', async () => {
    const { add, fail, note, runs } = composable(at.app)
    const errback = at.app.task('errback', (id: string) => void runs.push(['errback', id]))
    await at.work()
    const last = await chain(add.s(1, 2), fail.s(), note.s(), note.s()).linkError(errback.s()).delay()
    await expect(last.get(WAIT)).rejects.toMatchObject({
      state: 'FAILURE',
      excType: 'TypeError',
      message: expect.stringContaining('no: 3'),
    })
    expect(await at.ended(last.parent!.id)).toMatchObject({ state: 'FAILURE', task: 'note' })
    await until('the errback', () => runs.length === 3)
    expect(runs).toEqual([
      ['add', 1, 2],
      ['fail', 3],
      ['errback', last.parent!.parent!.id],
    ])
  })

  it('continues after the retry of a step', async () => {
    const { note } = composable(at.app)
    let runs = 0
    const flaky = at.app.task(
      'flaky',
      () => {
        if (++runs < 3) throw new Error('not yet')
        return runs
      },
      { autoretryFor: [Error], retryDelay: 0 },
    )
    await at.work()
    expect(await (await chain(flaky.s(), note.s()).delay()).get(WAIT)).toBe(3)
  })

  it('can end in a group, and can continue after a group', async () => {
    const { add, mul, sum, note } = composable(at.app)
    await at.work()
    const ended = await chain(add.s(1, 2), group([add.s(10), mul.s(10)])).delay()
    expect(await ended.get(WAIT)).toEqual([13, 30])
    const { results } = (await at.app.groupResult(ended.id))!
    expect(results.map(({ id }) => id)).toEqual(ended.results.map(({ id }) => id))
    const summed = await chain(add.s(1, 2), group([add.s(10), mul.s(10)]), sum.s(), note.s()).delay()
    expect(await summed.get(WAIT)).toBe(43)
    const header = summed.parent!.parent as GroupResult
    expect(await header.get(WAIT)).toEqual([13, 30])
  })

  it('starts only if the transaction in which it is sent commits', async () => {
    const { add, note, runs } = composable(at.app)
    await at.work()
    const statements: string[] = []
    await at.database
      .transaction(async (client) => {
        const transaction = {
          query: (text: string, values?: unknown[]) => {
            statements.push(text)
            return client.query({ text, name: `composition ${statements.length}` } as never, values as never)
          },
        }
        await chain(add.s(1, 2), note.s()).applyAsync([], { transaction: transaction as never })
        throw new Error('rolled back')
      })
      .catch(() => {})
    expect(statements.length).toBeGreaterThan(0)
    const last = await chain(add.s(3, 4), note.s()).delay()
    expect(await last.get(WAIT)).toBe(7)
    expect(runs).toEqual([
      ['add', 3, 4],
      ['note', 7],
    ])
  })

  it('starts its first step after its countdown, and its further steps without a countdown', async () => {
    const { add, note } = composable(at.app)
    await at.work()
    const before = Date.now()
    const last = await chain(add.s(1, 2), note.s()).applyAsync([], { countdown: 0.5 })
    expect(await last.get(WAIT)).toBe(3)
    expect(Date.now() - before).toBeGreaterThanOrEqual(490)
  })

  it('of a hundred steps completes', async () => {
    const { add, range } = composable(at.app)
    await at.work()
    const last = await chain(range.s(0), ...Array.from({ length: 99 }, () => add.s(1))).delay()
    expect(await last.get({ timeoutMs: 30_000 })).toBe(99)
  })
})
