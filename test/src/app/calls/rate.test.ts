import { describe, expect, it } from 'vitest'
import { parseRate, rateLimitOf } from '../../../../src/app/calls/rate.ts'

describe('a rate limit', () => {
  it.each<[string | number | null | undefined, number | undefined]>([
    ['10/s', 100],
    ['10/m', 6000],
    ['3/h', 1_200_000],
    ['0.5/s', 2000],
    ['5', 200],
    [4, 250],
    [0.1, 10_000],
    [' 1/m ', 60_000],
    ['0', undefined],
    ['0/m', undefined],
    ['0.0', undefined],
    [0, undefined],
    ['', undefined],
    [null, undefined],
    [undefined, undefined],
  ])('of %j is parsed to the interval %s (milliseconds; undefined means no limit)', (limit, intervalMs) =>
    expect(parseRate(limit)).toBe(intervalMs),
  )

  it.each<[unknown]>([
    ['10/d'],
    ['ten/m'],
    ['-1/s'],
    [-1],
    ['10/'],
    ['/m'],
    ['1e3/s'],
    ['10 / m'],
    [Number.NaN],
    [Number.POSITIVE_INFINITY],
    [{}],
    ['0.0000000000001/h'],
  ])('of %j is refused with an example of a valid rate limit', (limit) =>
    expect(() => parseRate(limit as string)).toThrow(
      expect.objectContaining({ code: 'TASK_OPTION_INVALID', message: expect.stringContaining('such as "10/m"') }),
    ),
  )

  it('has the scope "worker" by default', () => {
    expect(rateLimitOf('1/s')).toEqual({ intervalMs: 1000, scope: 'worker' })
    expect(rateLimitOf({ limit: '1/s', scope: 'app' })).toEqual({ intervalMs: 1000, scope: 'app' })
    expect(rateLimitOf({ limit: 0, scope: 'app' })).toBeUndefined()
    expect(() => rateLimitOf({ limit: 1, scope: 'all' as 'app' })).toThrow(
      'the scope of rateLimit must be "worker" or "app", not "all"',
    )
  })
})
