import { describe, expect, it } from 'vitest'
import { createPrefetch } from '../../../../src/broker/consumer/prefetch.ts'

/** Runs batches of tasks of `taskMs` each with `slots` at once, and `waitMs` without work between them. */
function simulate(taskMs: number, slots: number, batches: number, waitMs = 5): number {
  let time = 0
  const prefetch = createPrefetch(slots, () => time)
  for (let batch = 0; batch < batches; batch++) {
    const room = prefetch.room()
    prefetch.taken(room)
    for (let index = 0; index < room; index++) {
      time += taskMs / slots
      prefetch.finished()
    }
    time += waitMs
  }
  return prefetch.room()
}

describe('how far ahead a worker claims', () => {
  it.each([
    ['tasks of 0.01 ms: as many as are held at the most', 0.01, 1, 2000],
    ['tasks of 0.02 ms: thirty milliseconds of them', 0.02, 1, 1500],
    ['tasks of 1 ms: thirty milliseconds of them', 1, 1, 30],
    ['tasks of 100 ms in ten slots: the slots', 100, 10, 10],
    ['tasks of a minute: the slots', 60_000, 4, 4],
  ])('%s', (_name, taskMs, slots, room) => expect(simulate(taskMs, slots, 30)).toBeCloseTo(room, -1))

  it('does not count time spent waiting for the database', () => {
    expect(simulate(0.02, 1, 30, 1000)).toBeCloseTo(simulate(0.02, 1, 30, 1), -1)
  })

  it('asks for nothing when the room is too small to be worth a statement', () => {
    let time = 0
    const prefetch = createPrefetch(1, () => time)
    for (let batch = 0; batch < 20; batch++) {
      const room = prefetch.room()
      prefetch.taken(room)
      for (let index = 0; index < room; index++) {
        time += 0.1
        prefetch.finished()
      }
    }
    const target = prefetch.room()
    prefetch.taken(target)
    time += 1
    for (let index = 0; index < 10; index++) prefetch.finished()
    expect(target).toBeGreaterThan(200)
    expect(prefetch.room()).toBe(0)
  })
})
