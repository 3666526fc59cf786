import { expect, it } from 'vitest'
import { aborted, sleep } from '../../../src/concurrency/sleep.ts'

it('sleep resolves to true after its time', async () => expect(await sleep(1)).toBe(true))

it('sleep resolves to false when the signal aborts or has already aborted', async () => {
  const stopping = new AbortController()
  const sleeping = sleep(60_000, stopping.signal)
  stopping.abort()
  expect([await sleeping, await sleep(60_000, stopping.signal)]).toEqual([false, false])
})

it('aborted resolves when the signal aborts, and at once if the signal has already aborted', async () => {
  const stopping = new AbortController()
  const noticed = aborted(stopping.signal)
  stopping.abort()
  await Promise.all([noticed, aborted(stopping.signal)])
})
