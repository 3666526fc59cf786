import { pino } from 'pino'
import { describe, expect, it } from 'vitest'
import { createRecycling } from '../../../src/worker/recycle.ts'

const MB = 1024 * 1024

function recycling(limits: { maxTasks?: number; maxMemoryMb?: number }, rss = () => 0) {
  const lines: Record<string, unknown>[] = []
  const log = pino({ base: null }, { write: (line: string) => void lines.push(JSON.parse(line)) })
  let recycled = 0
  let isIdle = false
  const recycle = (idle: Promise<void>) => {
    recycled++
    void idle.then(() => {
      isIdle = true
    })
  }
  const made = createRecycling({ maxTasks: 0, maxMemoryMb: 0, ...limits, log, rss, recycle })
  return { made, lines, recycled: () => recycled, isIdle: () => isIdle }
}

describe('the recycling of a worker', () => {
  it('is off without a limit', () => {
    expect(recycling({}).made).toBeUndefined()
  })
  it('is requested once, after the worker has run the number of tasks that its limit sets', () => {
    const { made, recycled, lines } = recycling({ maxTasks: 3 })
    for (const expected of [0, 0, 1, 1]) {
      made?.ended()
      expect(recycled()).toBe(expected)
    }
    expect(lines[0]).toMatchObject({ why: '3 tasks', tasks: 3 })
  })
  it('is requested when the memory is above the limit after a task', () => {
    const { made, recycled, lines } = recycling({ maxMemoryMb: 200 }, () => 201 * MB)
    made?.ended()
    expect(recycled()).toBe(1)
    expect(lines[0]).toMatchObject({ why: '201 MB of 200', rssMb: 201 })
  })
  it('resolves its promise when no task runs any more', async () => {
    const { made, isIdle } = recycling({ maxTasks: 1 })
    made?.begun()
    made?.begun()
    made?.ended()
    await Promise.resolve()
    expect(isIdle()).toBe(false)
    made?.ended()
    await Promise.resolve()
    expect(isIdle()).toBe(true)
  })
  it('measures memory at most once a second', () => {
    let asked = 0
    const { made, recycled } = recycling({ maxMemoryMb: 200 }, () => ++asked)
    for (let n = 0; n < 1000; n++) made?.ended()
    expect({ asked, recycled: recycled() }).toEqual({ asked: 1, recycled: 0 })
  })
  it('logs a warning when the worker ran for less than 30 s', () => {
    const { made, lines } = recycling({ maxTasks: 1 })
    made?.ended()
    expect(lines[1]).toMatchObject({ level: 40, msg: expect.stringContaining('less than 30 s') })
  })
})
