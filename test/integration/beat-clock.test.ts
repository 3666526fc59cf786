import { afterEach, beforeEach, describe, expect, vi } from 'vitest'
import { keepInOutbox } from '../../src/database/outbox.ts'
import { createMessage } from '../../src/message/message.ts'
import { benchTest, flaws } from '../support/beats.ts'
import { until } from '../support/until.ts'

/** Sets the clock of this process an hour ahead. Beat must use the database's clock. */
describe('a host whose clock is an hour ahead', () => {
  beforeEach(() => {
    vi.useFakeTimers({ toFake: ['Date'], shouldAdvanceTime: true, now: Date.now() + 3_600_000 })
  })
  afterEach(() => {
    vi.useRealTimers()
  })

  benchTest('plans, claims, publishes and seeds by the database’s clock', async (bench) => {
    await bench.sql(
      `INSERT INTO schedule (name, task, kind, every, period, anchor) VALUES ('a', 't', 'interval', 1, 'seconds', now())`,
    )
    await bench.table().seed([{ name: 's', description: '', task: 't', every: 1, period: 'hours', catchup: 'one' }])
    const { database } = await bench.beat()
    await bench.relay(database)
    const message = createMessage({ id: 'at once', task: 't', args: [] })
    await keepInOutbox(database, message, new Date())
    await until('three runs', async () => (await bench.runs('a')).length >= 3)
    expect(await flaws(bench, 'a', 1000)).toEqual([])
    expect(await bench.sql("SELECT FROM schedule_run WHERE tick NOT BETWEEN now() - interval '1 minute' AND now()")).toEqual([])
    expect(await bench.sql("SELECT FROM message WHERE task_id = 'at once'")).toHaveLength(1)
    expect(await bench.sql("SELECT FROM schedule WHERE anchor > now() OR next_run_at > now() + interval '1 hour'")).toEqual([])
  })
})
