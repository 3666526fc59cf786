import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { createStillRunning } from '../../../../src/worker/attempt/still-running.ts'

describe('the report of long runs', () => {
  const said: string[] = []
  const still = () => createStillRunning<string>(100, (one) => said.push(one))

  beforeEach(() => {
    said.length = 0
    vi.useFakeTimers()
  })
  afterEach(() => {
    vi.useRealTimers()
  })

  it('names each long run once, when the run exceeds its own threshold', async () => {
    const { begun } = still()
    begun('first')
    await vi.advanceTimersByTimeAsync(60)
    begun('second')
    await vi.advanceTimersByTimeAsync(50)
    expect(said).toEqual(['first'])
    await vi.advanceTimersByTimeAsync(50)
    expect(said).toEqual(['first', 'second'])
    await vi.advanceTimersByTimeAsync(1000)
    expect(said).toEqual(['first', 'second'])
  })

  it('does not name a run that ends in time while a long run is active', async () => {
    const { begun, ended } = still()
    begun('short')
    begun('long')
    ended('short')
    await vi.advanceTimersByTimeAsync(101)
    expect(said).toEqual(['long'])
  })

  it('has one timer for any number of runs, and no timer when nothing runs', async () => {
    const { begun, ended } = still()
    for (let task = 0; task < 1000; task++) {
      begun(`task ${task}`)
      if (task % 2 === 0) ended(`task ${task}`)
    }
    expect(vi.getTimerCount()).toBe(1)
    await vi.advanceTimersByTimeAsync(101)
    expect(said).toHaveLength(500)
    expect(vi.getTimerCount()).toBe(0)
  })
})
