import { describe, expect, test } from 'vitest'
import { inHalves } from '../../../src/beat/in-halves.ts'

const refusal = (code: string) => Object.assign(new Error('refused'), { code })

/** A statement that refuses a batch if it contains a `bad` item. */
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
    ['of valid items runs as one statement', [], [10, 20, 30, 40, 50], []],
    ['with one bad item refuses only the bad item', [3], [10, 20, 40, 50], [3]],
    ['with bad items at both ends refuses only these two items', [1, 5], [20, 30, 40], [1, 5]],
    ['of bad items refuses every item', [1, 2, 3, 4, 5], [], [1, 2, 3, 4, 5]],
  ])('%s', async (_, bad, results, refused) => {
    const { run, runs } = statement(bad)
    const told: number[] = []
    expect(await inHalves([1, 2, 3, 4, 5], run, async (item) => void told.push(item))).toEqual(results)
    expect(told).toEqual(refused)
    if (bad.length === 0) expect(runs).toHaveLength(1)
  })

  test('of 500 items with one bad item takes fewer than 25 statements', async () => {
    const { run, runs } = statement([123])
    const items = Array.from({ length: 500 }, (_, index) => index)
    expect(await inHalves(items, run, async () => {})).toHaveLength(499)
    expect(runs.length).toBeLessThan(25)
  })

  test('without items runs no statement', async () => {
    const { run, runs } = statement([])
    expect([await inHalves([], run, async () => {}), runs]).toEqual([[], []])
  })

  test.each([
    ['08006', 'a lost connection'],
    ['57014', 'a statement that took too long'],
    ['40P01', 'a deadlock'],
    ['25006', 'a server that is read-only'],
    ['42703', 'a bug in the statement'],
  ])('that fails with %s (%s) throws the error and is not split', async (code) => {
    const { run, runs } = statement([1], code)
    await expect(inHalves([1, 2], run, async () => {})).rejects.toMatchObject({ code })
    expect(runs).toHaveLength(1)
  })
})
