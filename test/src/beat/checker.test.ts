import { afterEach, describe, expect, test, vi } from 'vitest'
import { createChecker } from '../../../src/beat/checker.ts'
import type { BeatSchedules } from '../../../src/database/beat-schedules.ts'
import { silentLog } from '../../../src/log.ts'

const NOON = new Date('2026-11-22T12:00:00Z')
const later = (ms: number) => new Date(NOON.getTime() + ms)

/** A checker of an empty table whose check at start is done. */
async function checked() {
  let checks = 0
  const table = {
    futureRows: async () => {
      checks++
      return []
    },
    correct: async () => [],
    prune: async () => 0,
    pruneCrowded: async () => ({ deleted: 0, schedules: 0, last: '' }),
  }
  const checker = createChecker(table as unknown as BeatSchedules, silentLog())
  const finish = async () => {
    while (await checker.checkBatch());
    return checks
  }
  expect(await finish()).toBe(1)
  return { checker, finish }
}

afterEach(() => {
  vi.useRealTimers()
})

describe('the check of beat', () => {
  test('runs at the start, and then not on every pass', async () => {
    const { finish } = await checked()
    expect([await finish(), await finish()]).toEqual([1, 1])
  })

  test('runs again after an hour by the clock of this process', async () => {
    vi.useFakeTimers({ toFake: ['performance'] })
    const { finish } = await checked()
    vi.advanceTimersByTime(3_599_000)
    expect(await finish()).toBe(1)
    vi.advanceTimersByTime(2000)
    expect([await finish(), await finish()]).toEqual([2, 2])
  })

  test.each<[string, number[], number]>([
    ['runs at once when the database’s clock was set back', [0, 5000, -60_000], 2],
    ['does not run again when the clock goes on', [0, 5000, 10_000], 1],
    ['does not run again when the times of two connections differ slightly', [0, -900], 1],
    ['does not run again when the clock was set forward', [0, 86_400_000], 1],
    ['runs once for each time the clock was set back', [0, -60_000, -55_000, -50_000], 2],
  ])('%s', async (_, times, checks) => {
    const { checker, finish } = await checked()
    for (const ms of times) {
      checker.observeClock(later(ms))
      await finish()
    }
    expect(await finish()).toBe(checks)
  })
})
