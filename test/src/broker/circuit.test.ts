import { describe, expect, it } from 'vitest'
import { createCircuit } from '../../../src/broker/circuit.ts'

function setUp(timeoutMs = 10_000) {
  const changes: string[] = []
  let now = 0
  const circuit = createCircuit({
    timeoutMs,
    onOpen: () => changes.push('open'),
    onClose: () => changes.push('closed'),
    now: () => now,
  })
  const at = (ms: number) => {
    now = ms
  }
  return { circuit, changes, at }
}

describe('a circuit', () => {
  it('opens after a call without an answer, and then lets only one call at a time wait as a probe', () => {
    const { circuit, changes, at } = setUp()
    expect(circuit.waitMs()).toBe(10_000)
    at(10_000)
    circuit.unanswered(0)
    circuit.unanswered(5)
    expect([circuit.waitMs(), circuit.waitMs()]).toEqual([0, 0])
    at(14_999)
    expect(circuit.waitMs()).toBe(0)
    at(15_000)
    expect([circuit.waitMs(), circuit.waitMs()]).toEqual([500, 0])
    expect(changes).toEqual(['open'])
  })

  it('is closed by the first answer, however late it is', () => {
    const { circuit, changes, at } = setUp()
    at(10_000)
    circuit.unanswered(0)
    at(10_001)
    circuit.heard()
    circuit.heard()
    expect(circuit.waitMs()).toBe(10_000)
    expect(changes).toEqual(['open', 'closed'])
  })

  it('stays closed if the broker answered another call meanwhile, because a full queue is not an outage', () => {
    const { circuit, changes, at } = setUp()
    at(6000)
    circuit.heard()
    at(10_000)
    circuit.unanswered(0)
    expect(circuit.isOpen).toBe(false)
    expect(changes).toEqual([])
  })

  it('lets the next call through when the connection is back', () => {
    const { circuit, at } = setUp(200)
    at(200)
    circuit.unanswered(0)
    expect(circuit.waitMs()).toBe(0)
    circuit.tryAgain()
    expect([circuit.waitMs(), circuit.waitMs()]).toEqual([200, 0])
  })
})
