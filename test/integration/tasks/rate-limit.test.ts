import { expect, it } from 'vitest'
import type { App } from '../../../src/app/app.ts'
import { createRateLimits } from '../../../src/database/rate-limits.ts'
import { silentLog } from '../../../src/log.ts'
import { HAS_PERMIT } from '../../../src/message/private-headers.ts'
import { createRateLimiter } from '../../../src/worker/attempt/rate-limiter.ts'
import { onEveryBroker } from '../../support/task-worker.ts'
import { until } from '../../support/until.ts'

onEveryBroker('rate limits', (at) => {
  const limiter = () => createRateLimiter({ log: silentLog(), limits: createRateLimits(at.database) })
  /** Start times, in milliseconds of the clock of this process. */
  const begins: number[] = []
  const limited = (app: App, rateLimit: '20/s' | { limit: string; scope: 'app' }, options: { maxRetries?: number } = {}) => {
    begins.length = 0
    return app.task('limited', () => void begins.push(performance.now()), { rateLimit, ...options })
  }
  /** Relays and a busy machine make single gaps shorter than the interval, but never the whole. */
  const expectRate = (perSecond: number) => {
    const [first, last] = [begins[0]!, begins.at(-1)!]
    expect(last - first).toBeGreaterThanOrEqual(((begins.length - 1) * 1000) / perSecond - 30)
  }

  it('of one worker allow no more tasks per second than their rate, lose no task and keep waiting tasks out of the worker', async () => {
    const task = limited(at.app, '20/s')
    const worker = await at.work({ limiter: limiter(), concurrency: 50 })
    const runs = await at.app.enqueue(Array.from({ length: 25 }, () => ({ task })))
    await until('all wait for their place', async () => (await at.rows('SELECT FROM $outbox')).length > 15)
    expect(worker.running + worker.reserved().length).toBeLessThan(10)
    for (const { id } of runs) expect((await at.ended(id)).state).toBe('SUCCESS')
    expect(begins).toHaveLength(25)
    expectRate(20)
  })

  it('over all workers allow several workers together no more tasks per second than one worker', async () => {
    const task = limited(at.app, { limit: '20/s', scope: 'app' })
    for (let n = 0; n < 3; n++) await at.work({ limiter: limiter(), concurrency: 10 })
    const runs = await at.app.enqueue(Array.from({ length: 25 }, () => ({ task })))
    for (const { id } of runs) expect((await at.ended(id)).state).toBe('SUCCESS')
    expect(begins).toHaveLength(25)
    expectRate(20)
  })

  it.each(['worker', 'app'] as const)(
    'of the scope %s store REVOKED at once for a message that expires before its permit, and use up no permit',
    async (scope) => {
      const task = at.app.task('rare', () => 1, { rateLimit: { limit: '1/m', scope } })
      await at.work({ limiter: limiter() })
      expect(await at.ended((await task.delay()).id)).toMatchObject({ state: 'SUCCESS' })
      const late = await at.app.enqueue(Array.from({ length: 5 }, () => ({ task, options: { expires: 30 } })))
      for (const { id } of late)
        expect(await at.ended(id)).toMatchObject({ state: 'REVOKED', result: { exc_message: ['expired'] }, startedAt: null })
      const { id } = await task.applyAsync([], { expires: 90 })
      await until('it waits', async () => (await at.rows('SELECT FROM $outbox WHERE task_id = $1', [id])).length === 1)
      expect(await at.rows("SELECT due_at < now() + interval '61 seconds' AS next FROM $outbox")).toEqual([{ next: true }])
    },
  )

  it('count a retry as the start of one more task', async () => {
    begins.length = 0
    const task = at.app.task(
      'retried',
      () => {
        begins.push(performance.now())
        if (begins.length === 1) throw new Error('once more')
      },
      { rateLimit: '2/s', autoretryFor: [Error], retryDelay: 0 },
    )
    await at.work({ limiter: limiter() })
    const { id } = await task.delay()
    expect(await at.ended(id)).toMatchObject({ state: 'SUCCESS', retries: 1 })
    expect(begins[1]! - begins[0]!).toBeGreaterThan(450)
  })

  it('can be set while a worker runs', async () => {
    const task = at.app.task('free', () => 1)
    const worker = await at.work({ limiter: limiter() })
    worker.setRateLimit('free', '1/h')
    await at.ended((await task.delay()).id)
    const { id } = await task.delay()
    const [row] = await until('it waits', async () => {
      const rows = await at.rows(
        "SELECT headers, due_at - now() > interval '59 minutes' AS later FROM $outbox WHERE task_id = $1",
        [id],
      )
      return rows.length > 0 ? rows : undefined
    })
    expect(row).toMatchObject({ later: true })
    expect(JSON.parse(String(row!.headers))[HAS_PERMIT]).toBe(0)
    worker.setRateLimit('free', null)
    await at.ended((await task.delay()).id)
    expect(() => worker.setRateLimit('free', 'often')).toThrow('such as "10/m", not "often"')
    expect(() => worker.setRateLimit('none', '1/s')).toThrow('not registered')
  })
})
