import { afterEach, describe, expect, it } from 'vitest'
import { chain, chord, createApp, group, Ignore, Reject, type TaskContext, TaskError } from '../../../src/index.ts'
import { createTestApp, type TestApp } from '../../../src/testing/testing.ts'

const opened: TestApp[] = []
afterEach(async () => {
  for (const test of opened.splice(0)) await test[Symbol.asyncDispose]()
})

function createShop() {
  const app = createApp()
  const sent: string[] = []
  const add = app.task('shop.add', (a: number, b: number) => a + b)
  const total = app.task('shop.total', (numbers: number[]) => numbers.reduce((sum, n) => sum + n, 0))
  const mail = app.task('shop.mail', async (to: string) => void sent.push(to), { queue: 'mail' })
  const order = app.task('shop.order', async (to: string) => {
    await mail.applyAsync([to], { countdown: 3600 })
    return 'ordered'
  })
  let failures = 0
  const flaky = app.task(
    'shop.flaky',
    async () => {
      failures += 1
      if (failures < 3) throw new RangeError(`failure ${failures}`)
      return failures
    },
    { autoretryFor: [RangeError], retryDelay: 60 },
  )
  const broken = app.task('shop.broken', (): number => {
    throw new TypeError('no')
  })
  return { app, sent, add, total, mail, order, flaky, broken }
}

const queued = (app: ReturnType<typeof createShop>['app']) => {
  const test = createTestApp(app)
  opened.push(test)
  return test
}

describe('a test application', () => {
  it('keeps calls instead of sending them, and runs them on request', async () => {
    const { app, add } = createShop()
    const test = queued(app)
    const result = await add.delay(1, 2)
    expect(test.assertEnqueued(add, { args: [1, 2], queue: 'celery', times: 1 })).toHaveLength(1)
    expect(await result.state()).toBe('PENDING')
    expect(await test.run()).toBe(1)
    expect(await result.get()).toBe(3)
  })

  it('lists the enqueued calls when an assertion fails', async () => {
    const { app, add, mail } = createShop()
    const test = queued(app)
    await mail.delay('a@example.org')
    expect(() => test.assertEnqueued(add, { args: [1, 2] })).toThrow(
      'expected a call of shop.add with args [1,2], but 0 of these calls match:\n  shop.mail("a@example.org") in mail',
    )
    expect(() => test.assertEnqueued('shop.mail', { times: 2 })).toThrow(
      'expected 2 calls of shop.mail, but 1 of these calls match',
    )
    expect(() => test.assertNotEnqueued(mail)).toThrow('expected no call of shop.mail, but there are:\n  shop.mail(')
    test.assertNotEnqueued(add)
    test.clear()
    expect(() => test.assertEnqueued(mail)).toThrow('(nothing was enqueued)')
  })

  it('refuses invalid calls like a real application', async () => {
    const { app } = createShop()
    queued(app)
    await expect(app.sendTask('shop.add', [1n])).rejects.toMatchObject({ code: 'VALUE_NOT_JSON' })
  })
})

describe('the clock of a test application', () => {
  it('runs a call with a countdown when the call is due, not earlier', async () => {
    const { app, order, sent } = createShop()
    const test = queued(app)
    await order.delay('a@example.org')
    await test.run()
    expect(test.scheduled.map(({ task }) => task)).toEqual(['shop.mail'])
    expect(await test.advance({ minutes: 59 })).toBe(0)
    expect(sent).toEqual([])
    expect(await test.advance({ minutes: 2 })).toBe(1)
    expect(sent).toEqual(['a@example.org'])
  })

  it('runs retries when they are due, with the same id', async () => {
    const { app, flaky } = createShop()
    const test = queued(app)
    const result = await flaky.delay()
    await test.run()
    expect(await result.info()).toMatchObject({ state: 'RETRY', retries: 0, nextAt: expect.any(Date) })
    await test.advance({ seconds: 61 })
    expect(await result.state()).toBe('RETRY')
    await test.advance({ seconds: 61 })
    expect(await result.get()).toBe(3)
    expect(test.enqueued).toHaveLength(1)
  })

  it('stores expired calls as REVOKED', async () => {
    const { app, add } = createShop()
    const test = queued(app)
    const result = await add.applyAsync([1, 2], { countdown: 120, expires: 60 })
    await test.advance({ minutes: 3 })
    expect(await result.state()).toBe('REVOKED')
    expect(test.now().getTime()).toBeGreaterThan(Date.now() + 170_000)
  })
})

describe('an eager test application', () => {
  it('runs a called task before delay() resolves, and runs its delayed calls when the clock advances', async () => {
    const { app, order, sent } = createShop()
    const test = await app.eager()
    opened.push(test)
    expect(await (await order.delay('b@example.org')).get()).toBe('ordered')
    expect(sent).toEqual([])
    await test.advance(3600)
    expect(sent).toEqual(['b@example.org'])
  })

  it('throws the error of a failed task in get(), or in delay() with the option propagate', async () => {
    const { app, broken } = createShop()
    const test = await app.eager()
    const failed = await broken.delay()
    await expect(failed.get()).rejects.toThrow(TaskError)
    await test[Symbol.asyncDispose]()
    const other = createShop()
    opened.push(await other.app.eager({ propagate: true }))
    await expect(other.broken.delay()).rejects.toThrow('shop.broken')
  })

  it('runs chains, groups and chords to their end', async () => {
    const { app, add, total } = createShop()
    opened.push(await app.eager())
    expect(await (await chain(add.s(1, 2), add.s(10)).applyAsync()).get()).toBe(13)
    const members = await group([add.s(1, 1), add.s(2, 2)]).applyAsync()
    expect(await members.get()).toEqual([2, 4])
    expect(await (await chord([add.s(1, 1), add.s(2, 2)], total.s()).applyAsync()).get()).toBe(6)
  })

  it('runs map, starmap and chunks', async () => {
    const { app, add, total } = createShop()
    opened.push(await app.eager())
    expect(await (await total.map([[1, 2], [3]]).delay()).get({ timeoutMs: 1000 })).toEqual([3, 3])
    const calls = [
      [1, 1],
      [2, 2],
      [3, 3],
    ] as [number, number][]
    expect(await (await add.starmap(calls).delay()).get({ timeoutMs: 1000 })).toEqual([2, 4, 6])
    expect(await (await add.chunks(calls, 2).delay()).get({ timeoutMs: 1000 })).toEqual([[2, 4], [6]])
  })

  it('applies time limits, Ignore, Reject and requeue', async () => {
    const { app, add, total } = createShop()
    const told: string[] = []
    const tell = app.task('shop.tell', (id: string) => void told.push(id))
    const hangs = app.task('shop.hangs', () => new Promise<number>(() => {}), { timeLimit: 0.02, acks: 'early' })
    const aborts = ({ signal }: TaskContext) =>
      new Promise<number>((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)))
    const minds = app.task('shop.minds', aborts, { bind: true, softTimeLimit: 0.02 })
    let runs = 0
    const requeued = app.task('shop.requeued', () => {
      if (++runs < 3) throw new Reject({ requeue: true })
      return runs
    })
    const test = await app.eager()
    opened.push(test)
    const members = await group([add.s(1, 1), hangs.s()])
      .linkError(tell.s())
      .delay()
    await expect(members.get({ timeoutMs: 1000 })).rejects.toMatchObject({ excType: 'TimeLimitExceeded' })
    const nested = await chord([chord([minds.s(), add.s(1, 1)], total.s()), add.s(2, 2)], total.s())
      .linkError(tell.s())
      .delay()
    await expect(nested.get({ timeoutMs: 1000 })).rejects.toMatchObject({ excType: 'ChordError' })
    expect(told).toEqual([members.results[1]!.id, nested.id])
    expect(await (await requeued.delay()).get({ timeoutMs: 1000 })).toBe(3)
    expect(test.scheduled).toEqual([])
  })

  it('ends a chord at once when a member fails', async () => {
    const { app, add, broken, total } = createShop()
    opened.push(await app.eager())
    const result = await chord([add.s(1, 1), broken.s()], total.s()).applyAsync()
    await expect(result.get({ timeoutMs: 1000 })).rejects.toMatchObject({ excType: 'ChordError' })
  })

  it('ends a chord when a member, or a step of a chain in the chord, throws Ignore', async () => {
    const { app, add, total } = createShop()
    const ignored = app.task('shop.ignored', (): number => {
      throw new Ignore('of no interest')
    })
    opened.push(await app.eager())
    for (const member of [ignored.s(), chain(ignored.s(), add.s(1))]) {
      const result = await chord([add.s(1, 1), member], total.s()).applyAsync()
      const message = expect.stringContaining("raised Ignore('of no interest')")
      await expect(result.get({ timeoutMs: 1000 })).rejects.toMatchObject({ excType: 'ChordError', message })
    }
  })

  it('stores REVOKED for a revoked call, without running it', async () => {
    const { app, mail, sent } = createShop()
    const test = await app.eager()
    opened.push(test)
    const result = await mail.applyAsync(['c@example.org'], { countdown: 60 })
    await app.revoke({ ids: [result.id] })
    expect(await result.state()).toBe('REVOKED')
    await test.advance(120)
    expect(sent).toEqual([])
  })

  it('does not run calls that were sent before their task was revoked by name', async () => {
    const { app, mail, sent } = createShop()
    const test = await app.eager()
    opened.push(test)
    const before = await mail.applyAsync(['d@example.org'], { countdown: 60 })
    expect(await app.revoke({ task: 'shop.mail' })).toEqual(['shop.mail'])
    await mail.delay('e@example.org')
    await test.advance(120)
    expect(await before.state()).toBe('REVOKED')
    expect(sent).toEqual(['e@example.org'])
  })
})
