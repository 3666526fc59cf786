import { describe, expect, it } from 'vitest'
import { createHeldTable, type HeldDelivery } from '../../../../src/broker/consumer/held.ts'
import { createMessage } from '../../../../src/message/message.ts'

const delivery = (tag: string): HeldDelivery => ({
  message: createMessage({ id: tag, task: 'tasks.echo', args: [] }),
  deliveries: 1,
  tag,
  early: false,
})

function create(keyOf?: Parameters<typeof createHeldTable>[1]) {
  const calls: string[] = []
  const prefetch = { finished: () => calls.push('finished'), requeued: () => calls.push('requeued') }
  return { held: createHeldTable(prefetch, keyOf), calls }
}

describe('the table of held deliveries', () => {
  it('counts a finished delivery once', () => {
    const { held, calls } = create()
    const one = delivery('1')
    held.add(one)
    expect(held.finish(one)).toBe(one)
    expect(held.finish(one)).toBeUndefined()
    expect(held.release(one)).toBeUndefined()
    expect(calls).toEqual(['finished'])
  })

  it('counts a released delivery as requeued', () => {
    const { held, calls } = create()
    const one = delivery('1')
    held.add(one)
    expect(held.release(one)).toBe(one)
    expect(held.size).toBe(0)
    expect(calls).toEqual(['requeued'])
  })

  it('holds two deliveries with one tag if the tag is not the key', () => {
    const { held } = create()
    held.add(delivery('same'))
    held.add(delivery('same'))
    expect(held.size).toBe(2)
  })

  it('finds a delivery by its tag if the tag is the key', () => {
    const { held, calls } = create(({ tag }) => tag)
    const one = delivery('1')
    held.add(one)
    expect(held.has(delivery('1'))).toBe(true)
    expect(held.hasKey('1')).toBe(true)
    expect(held.releaseKey('1')).toBe(one)
    expect(held.hasKey('1')).toBe(false)
    expect(calls).toEqual(['requeued'])
  })

  it('replaces only a delivery that is still held', () => {
    const { held, calls } = create()
    const [before, after] = [delivery('1'), delivery('1')]
    expect(held.replace(before, after)).toBe(false)
    held.add(before)
    expect(held.replace(before, after)).toBe(true)
    expect(held.values()).toEqual([after])
    expect(held.has(before)).toBe(false)
    expect(calls).toEqual([])
  })
})
