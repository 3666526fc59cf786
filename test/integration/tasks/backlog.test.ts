import { expect, it, onTestFinished } from 'vitest'
import { createOutcomeBacklog } from '../../../src/broker/outcomes/backlog.ts'
import { sleep } from '../../../src/concurrency/sleep.ts'
import type { Worker } from '../../../src/worker/worker.ts'
import { startDatabaseProxy } from '../../support/database-proxy.ts'
import { onEveryBroker } from '../../support/task-worker.ts'
import { until } from '../../support/until.ts'

const MESSAGES = 400
const IN_HAND = 20
const CONCURRENCY = 4
const RESULT = 'x'.repeat(50_000)
/** Size of ten results, which is more than ever waits for a reachable database. */
const ROOM = 500_000
/** Longer than a message waits for a slot before it is requeued. */
const TOO_LONG_MS = 400

onEveryBroker('results that the database cannot store', (at) => {
  it('are kept in memory up to a limit, at which the worker starts, requeues and loses no task until the database is back', async () => {
    const { proxy, url } = await startDatabaseProxy(at.schema.url)
    onTestFinished(() => proxy.close())
    const ran: number[] = []
    let before: number | undefined
    const quick = at.app.task('quick', () => null)
    const counted = at.app.task('counted', (n: number) => {
      // Sent only now: the worker claims more messages than the backlog has room for.
      if (before === undefined && worker.reserved().length >= IN_HAND) {
        before = ran.length
        proxy.shut()
      }
      ran.push(n)
      return before === undefined ? null : RESULT
    })
    const lines: { level: string; msg: string }[] = []
    const say = (level: string) => (_fields: unknown, msg: string) => void lines.push({ level, msg })
    const backlog = createOutcomeBacklog({ warn: say('warn'), info: say('info') } as never, ROOM)
    const worker: Worker = await at.work({ env: { DATABASE_URL: url }, concurrency: CONCURRENCY, backlog })
    // From now on messages are claimed by the hundred, so that the worker holds more of them than it has slots.
    const warm = await at.app.enqueue(Array.from({ length: 1000 }, () => ({ task: quick, args: [] as [] })))
    for (const result of warm) await result.get({ timeoutMs: 20_000 })
    const sent = await at.app.enqueue(Array.from({ length: MESSAGES }, (_, n) => ({ task: counted, args: [n] as [number] })))

    await until('it is too much', () => lines.length > 0)
    const started = ran.length
    expect(before).toBeDefined()
    expect(started - (before ?? 0)).toBeLessThanOrEqual(11 + CONCURRENCY)
    await sleep(TOO_LONG_MS)
    expect(ran).toHaveLength(started)
    expect(worker.running).toBe(0)
    expect(worker.reserved().length).toBeGreaterThan(0)

    proxy.open()
    for (const result of sent) await result.get({ timeoutMs: 20_000 })
    expect(new Set(ran).size).toBe(MESSAGES)
    expect(ran).toHaveLength(MESSAGES)
    expect(lines[0]).toMatchObject({ level: 'warn', msg: expect.stringContaining('no more tasks are started') })
    expect(lines[1]).toMatchObject({ level: 'info', msg: expect.stringContaining('tasks are started again') })
    expect(await at.rows('SELECT * FROM $redelivery WHERE deaths > 0')).toEqual([])
  })
})
