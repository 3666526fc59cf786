import { describe, expect, it } from 'vitest'
import { pauseMs, retry } from '../../../src/concurrency/retry.ts'

const quick = { firstMs: 1, maxMs: 4 }

describe('the pause between attempts', () => {
  it.each([
    [0, 0, 50],
    [0, 1, 100],
    [3, 1, 800],
    [20, 0, 500],
    [1e9, 1, 1000],
  ])('after attempt %i, with the random number %d, is %i ms', (attempt, random, ms) =>
    expect(pauseMs(attempt, { firstMs: 100, maxMs: 1000 }, () => random)).toBe(ms),
  )
})

describe('retry', () => {
  it('resolves to the first success', async () => {
    let attempts = 0
    const work = async () => {
      if (++attempts < 3) throw new Error('not yet')
      return attempts
    }
    expect(await retry(work, { ...quick, isRetryable: () => true })).toBe(3)
  })

  it('throws at once an error that is not retryable', async () => {
    let attempts = 0
    const work = async () => {
      attempts++
      throw new Error('no')
    }
    await expect(retry(work, { ...quick, isRetryable: () => false })).rejects.toThrow('no')
    expect(attempts).toBe(1)
  })

  it('throws the last error when its time is up', async () => {
    let attempts = 0
    const work = async () => {
      throw new Error(`attempt ${++attempts}`)
    }
    await expect(retry(work, { ...quick, isRetryable: () => true, giveUpAfterMs: 30 })).rejects.toThrow(/attempt \d+/)
    expect(attempts).toBeGreaterThan(2)
  })

  it('ends its pause and throws the last error when the signal aborts', async () => {
    const stopping = new AbortController()
    const work = async () => {
      throw new Error('away')
    }
    const attempt = retry(work, {
      firstMs: 60_000,
      maxMs: 60_000,
      isRetryable: () => true,
      signal: stopping.signal,
      onRetry: () => stopping.abort(),
    })
    await expect(attempt).rejects.toThrow('away')
  })
})
