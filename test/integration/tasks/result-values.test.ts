import { expect, it } from 'vitest'
import { onEveryBroker } from '../../support/task-worker.ts'

const circle: Record<string, unknown> = { list: [1] }
circle.list = [circle]

onEveryBroker('a result', (at) => {
  it.each<[what: string, value: () => unknown, excType: string, words: string]>([
    ['BigInt', () => ({ a: [1n] }), 'EncodeError', 'result.a[0] is a bigint'],
    ['Date', () => [{ when: new Date(0) }], 'EncodeError', 'result[0].when is a Date'],
    ['Map', () => new Map([[1, 2]]), 'EncodeError', 'result is a Map'],
    ['a circular object', () => circle, 'EncodeError', 'result.list[0] is circular: it refers to a value that contains it'],
    ['NaN', () => ({ x: Number.NaN }), 'EncodeError', 'result.x is NaN'],
    ['a function', () => ({ f: () => 1 }), 'EncodeError', 'result.f is a function'],
  ])('that is not JSON makes its task a FAILURE whose error names the path: %s', async (_what, value, excType, words) => {
    const task = at.app.task('odd', () => value(), { autoretryFor: [Error] })
    await at.work()
    const { result, state, retries } = await at.ended((await task.delay()).id)
    expect({ state, result, retries }).toMatchObject({
      state: 'FAILURE',
      retries: 0,
      result: { exc_type: excType, exc_message: [expect.stringContaining(words)], exc_module: 'kombu.exceptions' },
    })
  })

  it('that is too large makes its task a FAILURE whose error names the size, and the worker continues', async () => {
    const big = at.app.task('big', (n: number) => 'ü'.repeat(n), { resultMaxBytes: 100 })
    const other = at.app.task('other', (n: number) => 'x'.repeat(n))
    await at.work({ resultMaxBytes: 50 })
    const { state, result } = await at.ended((await big.delay(50)).id)
    expect({ state, result }).toMatchObject({
      state: 'FAILURE',
      result: { exc_type: 'ResultTooLarge', exc_message: [expect.stringMatching(/has 102 bytes, but the limit is 100:/)] },
    })
    expect(await (await big.delay(49)).get({ timeoutMs: 5000 })).toBe('ü'.repeat(49))
    expect(await at.ended((await other.delay(49)).id)).toMatchObject({ state: 'FAILURE', result: { exc_type: 'ResultTooLarge' } })
    expect(await (await other.delay(48)).get({ timeoutMs: 5000 })).toHaveLength(48)
  })

  it('is kept for the time that its task sets', async () => {
    const task = at.app.task('brief', () => 1, { resultTtl: 120 })
    const plain = at.app.task('plain', () => 1)
    await at.work()
    await at.ended((await task.delay()).id)
    await at.ended((await plain.delay()).id)
    const rows = await at.rows(
      `SELECT task, round(extract(epoch FROM expires_at - done_at))::int AS "ttl" FROM $task_result ORDER BY task`,
    )
    expect(rows).toEqual([
      { task: 'brief', ttl: 120 },
      { task: 'plain', ttl: null },
    ])
  })
})
