import { describe, expect, test } from 'vitest'
import { inHalves } from '../../../src/beat/in-halves.ts'

const refusal = (code: string) => Object.assign(new Error('refused'), { code })

/** A statement that refuses a batch with any of the `bad` items in it. */
const statement = (bad: readonly number[], code = '22009') => {
  const runs: number[][] = []
  return {
    runs,
    run: async (items: readonly number[]) => {
      runs.push([...items])
      if (items.some((item) => bad.includes(item))) throw refusal(code)
      return items.map((item) => item * 10)
    },
  }
}

describe('a batch', () => {
  test.each<[string, number[], number[], number[]]>([
    ['of sound items is one statement', [], [10, 20, 30, 40, 50], []],
    ['with one bad item finds it', [3], [10, 20, 40, 50], [3]],
    ['with bad items at both ends finds them', [1, 5], [20, 30, 40], [1, 5]],
    ['of bad items finds all', [1, 2, 3, 4, 5], [], [1, 2, 3, 4, 5]],
  ])('%s', async (_, bad, results, refused) => {
    const { run, runs } = statement(bad)
    const told: number[] = []
    expect(await inHalves([1, 2, 3, 4, 5], run, async (item) => void told.push(item))).toEqual(results)
    expect(told).toEqual(refused)
    if (bad.length === 0) expect(runs).toHaveLength(1)
  })

  test('of five hundred with one bad item takes some twenty statements', async () => {
    const { run, runs } = statement([123])
    const items = Array.from({ length: 500 }, (_, index) => index)
    expect(await inHalves(items, run, async () => {})).toHaveLength(499)
    expect(runs.length).toBeLessThan(25)
  })

  test('without items runs nothing', async () => {
    const { run, runs } = statement([])
    expect([await inHalves([], run, async () => {}), runs]).toEqual([[], []])
  })

  test.each([
    ['08006', 'a lost connection'],
    ['57014', 'a statement that took too long'],
    ['40P01', 'a deadlock'],
    ['25006', 'a server that is read-only'],
    ['42703', 'a bug in the statement'],
  ])('%s, %s, is nobody’s fault in the batch and is thrown', async (code) => {
    const { run, runs } = statement([1], code)
    await expect(inHalves([1, 2], run, async () => {})).rejects.toMatchObject({ code })
    expect(runs).toHaveLength(1)
  })
})
