import { describe, expect, it } from 'vitest'
import { waitAtMost, withTimeout } from '../../../src/concurrency/with-timeout.ts'

const never = new Promise<never>(() => {})
const refuse = () => {
  throw new Error('too late')
}
const timers = () => process.getActiveResourcesInfo().filter((kind) => kind === 'Timeout').length

describe('withTimeout', () => {
  it('resolves to the value that comes in time, and ends its timer', async () => {
    const before = timers()
    expect(await withTimeout(Promise.resolve('done'), 60_000, refuse)).toBe('done')
    expect(timers()).toBe(before)
  })

  it('rejects with the error that comes in time, and ends its timer', async () => {
    const before = timers()
    await expect(withTimeout(Promise.reject(new Error('failed')), 60_000, () => 'late')).rejects.toThrow('failed')
    expect(timers()).toBe(before)
  })

  it('rejects with the error that onTimeout throws', () => expect(withTimeout(never, 1, refuse)).rejects.toThrow('too late'))

  it('resolves to the value that onTimeout returns', async () => expect(await withTimeout(never, 1, () => 'late')).toBe('late'))

  it('ignores a rejection that comes after the timeout', async () => {
    const { promise, reject } = Promise.withResolvers<void>()
    await withTimeout(promise, 1, () => {})
    reject(new Error('nobody listens'))
    await new Promise((resolve) => setImmediate(resolve))
  })

  it('waits without a limit when no timeout is given', async () => {
    const { promise, resolve } = Promise.withResolvers<string>()
    const waiting = withTimeout(promise, undefined, refuse)
    setImmediate(resolve, 'done')
    expect(await waiting).toBe('done')
  })
})

describe('waitAtMost', () => {
  it('is true when the work ends in time', async () => expect(await waitAtMost(Promise.resolve(), 60_000)).toBe(true))

  it('is false when the time is up', async () => expect(await waitAtMost(never, 1)).toBe(false))

  it('rejects when the work fails in time', () =>
    expect(waitAtMost(Promise.reject(new Error('failed')), 60_000)).rejects.toThrow('failed'))

  it('waits for the end when no timeout is given', async () => expect(await waitAtMost(Promise.resolve(), undefined)).toBe(true))
})
