import { describe, expect, it } from 'vitest'
import { createGroupCommit } from '../../../src/concurrency/group-commit.ts'

const nextLoopTurn = () => new Promise<void>((resolve) => setImmediate(resolve))

/** A write that the test ends. */
function createWrite() {
  const batches: { items: readonly string[]; end: (error?: Error) => void }[] = []
  const write = (items: readonly string[]) =>
    new Promise<void>((resolve, reject) =>
      batches.push({ items, end: (error) => (error === undefined ? resolve() : reject(error)) }),
    )
  return { batches, commit: createGroupCommit<string>(write) }
}

describe('a group commit', () => {
  it('writes a single item at once', async () => {
    const { batches, commit } = createWrite()
    const added = commit.add('a')
    expect(batches.map(({ items }) => items)).toEqual([['a']])
    batches[0]?.end()
    await added
  })

  it('writes items that arrive during a write together, and each caller waits for its own write', async () => {
    const { batches, commit } = createWrite()
    const first = commit.add('a')
    const second = commit.add('b')
    const third = commit.add('c')
    batches[0]?.end()
    await first
    await nextLoopTurn()
    expect(batches.map(({ items }) => items)).toEqual([['a'], ['b', 'c']])
    batches[1]?.end()
    await Promise.all([second, third])
  })

  it('rejects only the items of a failed write, and continues with later items', async () => {
    const { batches, commit } = createWrite()
    const first = commit.add('a')
    const second = commit.add('b')
    batches[0]?.end(new Error('full'))
    await expect(first).rejects.toThrow('full')
    await nextLoopTurn()
    batches[1]?.end()
    await second
    await commit.idle()
    const third = commit.add('c')
    expect(batches[2]?.items).toEqual(['c'])
    batches[2]?.end()
    await third
  })

  it('is idle when no write is under way', async () => {
    const { batches, commit } = createWrite()
    await commit.idle()
    const added = commit.add('a')
    let idle = false
    const waiting = commit.idle().then(() => {
      idle = true
    })
    await Promise.resolve()
    expect(idle).toBe(false)
    batches[0]?.end()
    await Promise.all([added, waiting])
  })
})
