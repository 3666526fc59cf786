import { describe, expect, it } from 'vitest'
import { createMutex } from '../../../src/concurrency/mutex.ts'

describe('a mutex', () => {
  it('runs one function at a time, in the order of the calls', async () => {
    const mutex = createMutex()
    const events: string[] = []
    const work = (name: string) => async () => {
      events.push(`${name} begins`)
      await Promise.resolve()
      events.push(`${name} ends`)
      return name
    }
    expect(await Promise.all([mutex.run(work('a')), mutex.run(work('b'))])).toEqual(['a', 'b'])
    expect(events).toEqual(['a begins', 'a ends', 'b begins', 'b ends'])
  })

  it('rejects only for the caller whose function failed', async () => {
    const mutex = createMutex()
    const failed = mutex.run(() => Promise.reject(new Error('no')))
    const next = mutex.run(() => 'next')
    await expect(failed).rejects.toThrow('no')
    expect(await next).toBe('next')
  })

  it('is idle when every function that it received has ended', async () => {
    const mutex = createMutex()
    let ended = false
    const { promise, resolve } = Promise.withResolvers<void>()
    const run = mutex.run(() => promise)
    const idle = mutex.idle().then(() => {
      ended = true
    })
    await Promise.resolve()
    expect(ended).toBe(false)
    resolve()
    await Promise.all([run, idle])
  })
})
