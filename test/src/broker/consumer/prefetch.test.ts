import { describe, expect, it } from 'vitest'
import { createPrefetch } from '../../../../src/broker/consumer/prefetch.ts'

/** Runs batches of tasks of `taskMs` each in `slots` slots, with `waitMs` without work between batches. @returns the room for more messages */
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

describe('the prefetch of a worker', () => {
  it.each([
    ['its maximum for tasks of 0.01 ms', 0.01, 1, 2000],
    ['thirty milliseconds of work for tasks of 0.02 ms', 0.02, 1, 1500],
    ['thirty milliseconds of work for tasks of 1 ms', 1, 1, 30],
    ['the ten slots for tasks of 100 ms', 100, 10, 10],
    ['the four slots for tasks of a minute', 60_000, 4, 4],
  ])('is %s', (_name, taskMs, slots, room) => expect(simulate(taskMs, slots, 30)).toBeCloseTo(room, -1))

  it('ignores time spent waiting for the database', () => {
    expect(simulate(0.02, 1, 30, 1000)).toBeCloseTo(simulate(0.02, 1, 30, 1), -1)
  })

  it('requests no messages if the free room is too small to be worth a statement', () => {
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
