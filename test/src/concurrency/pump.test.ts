import { describe, expect, it } from 'vitest'
import { createPump, type PumpOptions } from '../../../src/concurrency/pump.ts'

const quick = { firstMs: 1, maxMs: 1 }
const nextLoopTurn = () => new Promise<void>((resolve) => setImmediate(resolve))

/** A pump whose work is a list of numbers; each turn takes all of them. */
function createListPump(options: Partial<PumpOptions> = {}) {
  const waiting: number[] = []
  const batches: number[][] = []
  const pump = createPump({
    hasWork: () => waiting.length > 0,
    turn: async () => {
      batches.push(waiting.splice(0))
      await Promise.resolve()
    },
    backoff: quick,
    ...options,
  })
  const add = (item: number) => {
    waiting.push(item)
    pump.wake()
  }
  return { waiting, batches, pump, add }
}

describe('a pump', () => {
  it('does the work of one turn of the event loop in one turn of its own', async () => {
    const { batches, pump, add } = createListPump()
    add(1)
    add(2)
    expect(batches).toEqual([])
    await pump.idle()
    expect(batches).toEqual([[1, 2]])
  })

  it('begins a turn within the call that wakes it without delay', async () => {
    const { waiting, batches, pump } = createListPump()
    waiting.push(1)
    pump.wakeNow()
    expect(batches).toEqual([[1]])
    await pump.idle()
  })

  it('does work that arrives during a turn in the next turn, and never runs two turns at once', async () => {
    let under = 0
    let most = 0
    const left = [1, 2, 3]
    const { add, pump } = createListPump({
      hasWork: () => left.length > 0,
      turn: async () => {
        most = Math.max(most, ++under)
        left.pop()
        add(0)
        await nextLoopTurn()
        under--
      },
    })
    pump.wakeNow()
    await pump.idle()
    expect({ left, most }).toEqual({ left: [], most: 1 })
  })

  it('does not lose a wake-up that arrives when a turn ends', async () => {
    const { batches, pump, add } = createListPump()
    add(1)
    await pump.idle()
    add(2)
    await pump.idle()
    expect(batches).toEqual([[1], [2]])
  })

  it('starts no turn without work', async () => {
    const { batches, pump } = createListPump()
    pump.wake()
    expect(pump.running).toBe(false)
    await pump.idle()
    expect(batches).toEqual([])
  })

  it('starts again after it found no work left', async () => {
    let asked = 0
    const { pump } = createListPump({ hasWork: () => ++asked % 2 === 1 })
    pump.wakeNow()
    await pump.idle()
    expect(pump.running).toBe(false)
  })

  it('repeats a failed turn after a pause, and counts failures in a row', async () => {
    const failures: [string, number][] = []
    let recovered = 0
    let attempts = 0
    let done = false
    const { pump } = createListPump({
      hasWork: () => !done,
      turn: async () => {
        if (++attempts < 3) throw new Error(`attempt ${attempts}`)
        done = true
      },
      onFailure: (error, count) => failures.push([(error as Error).message, count]),
      onRecovered: () => recovered++,
    })
    pump.wake()
    await pump.idle()
    expect({ failures, recovered }).toEqual({
      failures: [
        ['attempt 1', 0],
        ['attempt 2', 1],
      ],
      recovered: 1,
    })
  })

  it('rejects the promise of a waiting caller when a turn fails and no handler takes the failure', async () => {
    const { pump } = createListPump({ hasWork: () => true, turn: () => Promise.reject(new Error('a bug')) })
    pump.wakeNow()
    await expect(pump.idle()).rejects.toThrow('a bug')
    expect(pump.running).toBe(false)
  })

  it('waits for the running turn when it stops, and begins no other turn', async () => {
    const { promise, resolve } = Promise.withResolvers<void>()
    let turns = 0
    const { pump } = createListPump({
      hasWork: () => true,
      turn: () => {
        turns++
        return promise
      },
    })
    pump.wakeNow()
    const stopped = pump.stop()
    resolve()
    await stopped
    pump.wake()
    pump.wakeNow()
    expect({ turns, running: pump.running }).toEqual({ turns: 1, running: false })
  })

  it('does nothing when it stops before its first turn', async () => {
    const { batches, pump, add } = createListPump()
    add(1)
    await pump.stop()
    expect(batches).toEqual([])
  })

  it('ends the pause after a failed turn when it stops', async () => {
    const { pump } = createListPump({
      hasWork: () => true,
      turn: () => Promise.reject(new Error('away')),
      backoff: { firstMs: 60_000, maxMs: 60_000 },
      onFailure: () => {},
    })
    pump.wakeNow()
    await nextLoopTurn()
    await pump.stop()
    expect(pump.running).toBe(false)
  })
})
