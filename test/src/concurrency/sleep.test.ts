import { expect, it } from 'vitest'
import { aborted, sleep } from '../../../src/concurrency/sleep.ts'

it('resolves to true after its time', async () => expect(await sleep(1)).toBe(true))

it('resolves to false when the signal aborts, or has aborted', async () => {
  const stopping = new AbortController()
  const sleeping = sleep(60_000, stopping.signal)
  stopping.abort()
  expect([await sleeping, await sleep(60_000, stopping.signal)]).toEqual([false, false])
})

it('notices the abort of a signal, also of one that aborted before', async () => {
  const stopping = new AbortController()
  const noticed = aborted(stopping.signal)
  stopping.abort()
  await Promise.all([noticed, aborted(stopping.signal)])
})
