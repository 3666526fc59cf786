import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { createRegistry } from '../../../../src/app/app.ts'
import type { TaskOptions } from '../../../../src/app/task-options.ts'
import type { PermitRequest } from '../../../../src/database/rate-limits.ts'
import { silentLog } from '../../../../src/log.ts'
import { createMessage, type Message } from '../../../../src/message/message.ts'
import { createRateLimiter, describeRate, nextPermit, withPermit } from '../../../../src/worker/attempt/rate-limiter.ts'

const message = (retries?: number): Message =>
  createMessage({ id: 'i', task: 't', args: [], ...(retries === undefined ? {} : { headers: { retries } }) })

const expiring = (atMs: number): Message =>
  createMessage({ id: 'i', task: 't', args: [], headers: { expires: new Date(atMs).toISOString() } })

const taskOf = (rateLimit?: TaskOptions['rateLimit']) =>
  createRegistry(() => Promise.reject(new Error('nothing is sent here'))).task(
    't',
    () => 1,
    rateLimit === undefined ? {} : { rateLimit },
  )

describe('the permits of a rate limit', () => {
  it.each([
    // next permit, now, interval → permit, next permit
    ['the first permit is given at once', 0, 1000, 100, 1000, 1100],
    ['the second permit is one interval later', 1100, 1000, 100, 1100, 1200],
    ['a late request gets a permit at once, and unused permits do not accumulate', 1100, 5000, 100, 5000, 5100],
    ['a request at the moment of the next permit gets it at once', 1100, 1100, 100, 1100, 1200],
  ])('%s', (_name, next, now, interval, at, after) =>
    expect(nextPermit(next, now, interval)).toEqual({ atMs: at, nextAtMs: after }),
  )

  it('are at least one interval apart, never before their request, and exactly one interval apart while requests wait', () =>
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 10_000 }),
        fc.array(fc.integer({ min: 0, max: 20_000 }), { minLength: 2 }),
        (interval, gaps) => {
          let [now, next] = [0, 0]
          let before = Number.NEGATIVE_INFINITY
          for (const gap of gaps) {
            now += gap
            const place = nextPermit(next, now, interval)
            expect(place.atMs).toBeGreaterThanOrEqual(now)
            expect(place.atMs - before).toBeGreaterThanOrEqual(interval)
            expect(place.atMs === now || place.atMs - before === interval).toBe(true)
            before = place.atMs
            next = place.nextAtMs
          }
        },
      ),
    ))
})

describe('a rate limit of one worker', () => {
  const limiterAt = (start: number) => {
    const time = { now: start }
    return { time, limiter: createRateLimiter({ log: silentLog(), now: () => time.now }) }
  }

  it('does not delay a task without a limit', () => {
    const { limiter } = limiterAt(0)
    expect([1, 2, 3].map(() => limiter.admit(message(), taskOf()))).toEqual([undefined, undefined, undefined])
  })

  it('gives the first permit at once, and each further permit one interval after the permit before', () => {
    const { limiter, time } = limiterAt(1000)
    const task = taskOf('10/s')
    expect([1, 2, 3].map(() => limiter.admit(message(), task))).toEqual([undefined, new Date(1100), new Date(1200)])
    time.now = 1250
    expect(limiter.admit(message(), task)).toEqual(new Date(1300))
    time.now = 9000
    expect(limiter.admit(message(), task)).toBeUndefined()
  })

  it('runs a message that waited for its permit, and limits its next attempt', () => {
    const { limiter } = limiterAt(1000)
    const task = taskOf('1/s')
    expect(limiter.admit(withPermit(message()), task)).toBeUndefined()
    // Another worker gave that permit. The next one comes after it.
    expect(limiter.admit(message(), task)).toEqual(new Date(2000))
    const retried = { ...withPermit(message()), headers: { ...withPermit(message()).headers, retries: 1 } }
    expect(limiter.admit(retried, task)).toEqual(new Date(3000))
    expect(limiter.admit(withPermit(retried), task)).toBeUndefined()
  })

  it('gives the permit to the next message when a message expires before it', () => {
    const { limiter } = limiterAt(1000)
    const task = taskOf('1/s')
    expect(
      [expiring(1500), expiring(1500), expiring(2000), expiring(2001), message()].map((m) => limiter.admit(m, task)),
    ).toEqual([undefined, 'expired', 'expired', new Date(2000), new Date(3000)])
  })

  it('can be set, changed and removed while the worker runs', () => {
    const { limiter } = limiterAt(1000)
    const task = taskOf()
    limiter.set(task, '1/m')
    expect(limiter.describe(task)).toBe('1/m')
    expect([1, 2].map(() => limiter.admit(message(), task))).toEqual([undefined, new Date(61_000)])
    limiter.set(task, '2/s')
    expect([1, 2].map(() => limiter.admit(message(), task))).toEqual([undefined, new Date(1500)])
    limiter.set(task, null)
    expect([1, 2].map(() => limiter.admit(message(), task))).toEqual([undefined, undefined])
    expect(limiter.describe(task)).toBeUndefined()
    expect(() => limiter.set(task, 'often')).toThrow('such as "10/m", not "often"')
  })
})

describe('a rate limit over all workers', () => {
  const limited = (rate: string) => taskOf({ limit: rate, scope: 'app' })

  it('asks the database once for all messages of one turn, and gives permits in the order of the messages', async () => {
    const asked: (readonly PermitRequest[])[] = []
    const take = async (requests: readonly PermitRequest[]) => {
      asked.push(requests)
      return requests.map(() => -3)
    }
    const limiter = createRateLimiter({ log: silentLog(), now: () => 1000, limits: { take } })
    const task = limited('10/s')
    const permits = [1, 2, 3].map(() => limiter.admit(message(), task))
    expect(await Promise.all(permits)).toEqual([undefined, new Date(1097), new Date(1197)])
    expect(asked).toEqual([[{ key: 't 10/s', intervalMs: 100, permits: 3 }]])
    expect(limiter.admit(withPermit(message()), task)).toBeUndefined()
  })

  it('asks the database once for all messages that arrive while the previous statement runs', async () => {
    let answer = (_waits: number[]) => {}
    const counts: number[] = []
    const take = (requests: readonly PermitRequest[]) => {
      counts.push(requests[0]!.permits)
      return new Promise<number[]>((resolve) => (answer = resolve))
    }
    const limiter = createRateLimiter({ log: silentLog(), limits: { take } })
    const task = limited('1/s')
    const first = limiter.admit(message(), task)
    await new Promise((resolve) => setImmediate(() => setImmediate(resolve)))
    const others = [1, 2].map(() => limiter.admit(message(), task))
    answer([0])
    await first
    await new Promise((resolve) => setImmediate(resolve))
    answer([0])
    await Promise.all(others)
    expect(counts).toEqual([1, 2])
  })

  it('requests no permit for a message that expires before the next known permit', async () => {
    const counts: number[] = []
    let nextMs = 0
    const take = async ([asked]: readonly PermitRequest[]) => {
      counts.push(asked!.permits)
      nextMs += asked!.permits * asked!.intervalMs
      return [nextMs - asked!.permits * asked!.intervalMs]
    }
    const limiter = createRateLimiter({ log: silentLog(), now: () => 1000, limits: { take } })
    const task = limited('1/s')
    const first = [expiring(2500), expiring(2500), expiring(2500), message()].map((m) => limiter.admit(m, task))
    expect(await Promise.all(first)).toEqual([undefined, new Date(2000), 'expired', new Date(3000)])
    expect(await Promise.all([expiring(4000), expiring(4001)].map((m) => limiter.admit(m, task)))).toEqual([
      'expired',
      new Date(4000),
    ])
    nextMs = 60_000
    expect(await limiter.admit(expiring(9000), task), 'other workers have taken it').toBe('expired')
    expect(counts).toEqual([3, 1, 1])
  })

  it('runs tasks without a limit when the statement for permits fails', async () => {
    const limiter = createRateLimiter({ log: silentLog(), limits: { take: () => Promise.reject(new Error('no table')) } })
    expect(await limiter.admit(message(), limited('1/s'))).toBeUndefined()
  })
})

describe('the text of a rate limit', () => {
  it.each([
    [100, '10/s'],
    [6000, '10/m'],
    [1_200_000, '3/h'],
    [7_200_000, '0.5/h'],
  ])('describes an interval of %s ms as %s', (intervalMs, text) => expect(describeRate(intervalMs)).toBe(text))
})
