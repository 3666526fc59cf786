import { expect, it } from 'vitest'
import { group } from '../../../src/app/canvas/canvas.ts'
import { registerCanvasTasks } from '../../../src/tasks/canvas.ts'
import { onEveryBroker } from '../../support/task-worker.ts'
import { until } from '../../support/until.ts'
import { composable } from './compositions.ts'

const WAIT = { timeoutMs: 15_000 }

onEveryBroker('a group', (at) => {
  it('returns the results of its members in order, and can be found by its id in another process', async () => {
    const { add } = composable(at.app)
    await at.work()
    const sent = await group(Array.from({ length: 50 }, (_, n) => add.s(n, n))).delay()
    const expected = Array.from({ length: 50 }, (_, n) => 2 * n)
    expect(await sent.get(WAIT)).toEqual(expected)
    const found = (await at.app.groupResult<number[]>(sent.id))!
    expect(await found.get(WAIT)).toEqual(expected)
    expect([await found.completedCount(), await found.ready(), await found.successful(), await found.failed()]).toEqual([
      50,
      true,
      true,
      false,
    ])
    const seen: number[] = []
    for await (const { value } of found.iterate(WAIT)) seen.push(value!)
    expect(seen.toSorted((a, b) => a - b)).toEqual(expected)
    await found.forget()
    expect(await found.completedCount()).toBe(0)
  })

  it('yields each member as it ends, and throws the error of the first failed member', async () => {
    const { add, fail } = composable(at.app)
    let release = () => {}
    const held = at.app.task('held', () => new Promise<number>((resolve) => (release = () => resolve(1))))
    await at.work()
    const sent = await group([held.s(), add.s(1, 2), fail.s('x')]).delay()
    await expect(sent.get(WAIT)).rejects.toMatchObject({ excType: 'TypeError', taskId: sent.results[2].id })
    const seen = new Map<number, unknown>()
    for await (const { index, value, error } of sent.iterate(WAIT)) {
      seen.set(index, value ?? error!.excType)
      if (seen.size === 2) {
        expect([...seen.keys()].toSorted()).toEqual([1, 2])
        release()
      }
    }
    expect([...seen].toSorted()).toEqual([
      [0, 1],
      [1, 3],
      [2, 'TypeError'],
    ])
    expect(await sent.failed()).toBe(true)
  })

  it('within a group adds its results to the results of the outer group', async () => {
    const { add, mul, range } = composable(at.app)
    await at.work()
    const nested = await group([add.s(1, 1), group([range.s(7)]), mul.s(2, 3)]).delay()
    expect(await nested.get(WAIT)).toEqual([2, 7, 6])
  })

  it('is stored as a child of the task that sends it', async () => {
    const { add } = composable(at.app)
    const parent = at.app.task('parent', async () => (await group([add.s(1, 2), add.s(3, 4)]).delay()).id)
    await at.work()
    const run = await parent.delay()
    const id = await run.get(WAIT)
    const [child] = await run.children()
    expect(child!.id).toBe(id)
    expect(await (child as Awaited<ReturnType<typeof at.app.groupResult>>)!.get(WAIT)).toEqual([3, 7])
    const member = (await at.app.groupResult(id))!.results[0]!
    expect(await at.ended(member.id)).toMatchObject({ parentId: run.id, rootId: run.id })
  })

  it('runs no member when it is revoked', async () => {
    const { add, runs } = composable(at.app)
    const sent = await group([add.s(1, 2), add.s(3, 4)]).applyAsync([], { countdown: 3600 })
    await sent.revoke()
    await until('revoked', async () => (await at.rows('SELECT 1 FROM $revoked')).length === 2)
    expect(runs).toEqual([])
  })

  it('of many calls is one task with map or starmap, and one task for each chunk with chunks', async () => {
    const { add, range } = composable(at.app)
    registerCanvasTasks(at.app, { config: { resultTtlSeconds: 60 }, results: at.results })
    await at.work()
    expect(await (await range.map([3, 4]).delay()).get(WAIT)).toEqual([3, 4])
    const pairs = Array.from({ length: 5 }, (_, n): [number, number] => [n, n])
    expect(await (await add.starmap(pairs).delay()).get(WAIT)).toEqual([0, 2, 4, 6, 8])
    expect(await (await add.chunks(pairs, 2).delay()).get(WAIT)).toEqual([[0, 2], [4, 6], [8]])
  })
})
