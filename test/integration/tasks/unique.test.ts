import { Client } from 'pg'
import { expect, it } from 'vitest'
import { createUniqueStore } from '../../../src/database/unique.ts'
import { onEveryBroker } from '../../support/task-worker.ts'
import { until } from '../../support/until.ts'

onEveryBroker('a unique task', (at) => {
  const keys = () => at.rows('SELECT key, task_id FROM $unique_task ORDER BY key')

  it('is queued only once until it has ended, and can be queued again afterwards', async () => {
    let runs = 0
    const task = at.app.task('report', (_user: number) => ++runs, { unique: { forMs: 60_000 } })
    const first = await task.delay(1)
    const again = await Promise.all([task.delay(1), task.delay(1), task.delay(2)])
    expect(again.map(({ deduplicated = false }) => deduplicated)).toEqual([true, true, false])
    expect(again.slice(0, 2).map(({ id }) => id)).toEqual([first.id, first.id])
    await at.work()
    expect(await again[0]!.get({ timeoutMs: 10_000 })).toBe(await first.get({ timeoutMs: 10_000 }))
    await at.ended(again[2]!.id)
    await until('the keys are free', async () => (await keys()).length === 0)
    const later = await task.delay(1)
    expect(later.deduplicated).toBeUndefined()
    expect(later.id).not.toBe(first.id)
    await at.ended(later.id)
    expect(runs).toBe(3)
  })

  it('keeps its key during retries, and releases the key after the last attempt, also with ignoreResult', async () => {
    const during: boolean[] = []
    const task = at.app.task(
      'flaky',
      async (n: number) => {
        during.push((await task.delay(n)).deduplicated === true)
        throw new Error('no')
      },
      { unique: { forMs: 60_000 }, autoretryFor: [Error], retryDelay: 0, maxRetries: 1 },
    )
    const ignored = at.app.task('ignored', () => 1, { unique: { forMs: 60_000 }, ignoreResult: true })
    await at.work()
    const { id } = await task.delay(1)
    expect(await at.ended(id)).toMatchObject({ state: 'FAILURE', retries: 1 })
    expect(during).toEqual([true, true])
    await ignored.delay()
    await until('the keys are free', async () => (await keys()).length === 0)
  })

  it('keeps its key for the time of forMs, and then releases the key in any case', async () => {
    const timed = at.app.task('timed', () => 1, { unique: { forMs: 400, until: 'time' } })
    const stuck = at.app.task('stuck', () => 1, { unique: { forMs: 400 }, queue: 'nobody' })
    await at.work()
    const [first, waiting] = [await timed.delay(), await stuck.delay()]
    await at.ended(first.id)
    expect((await timed.delay()).id).toBe(first.id)
    expect((await stuck.delay()).id).toBe(waiting.id)
    await until(
      'both keys are free',
      async () => (await at.rows('SELECT FROM $unique_task WHERE expires_at > clock_timestamp()')).length === 0,
    )
    expect((await timed.delay()).id).not.toBe(first.id)
    expect((await stuck.delay()).id).not.toBe(waiting.id)
    await at.broker.purge('nobody')
  })

  it('is sent and holds its key only if the transaction in which it is called commits', async () => {
    const task = at.app.task('inside', (_x: number) => 1, { unique: { forMs: 60_000 } })
    const client = new Client({ connectionString: at.schema.url })
    await client.connect()
    try {
      await client.query('BEGIN')
      const rolledBack = await task.applyAsync([1], { transaction: client })
      expect((await task.applyAsync([1], { transaction: client })).id).toBe(rolledBack.id)
      await client.query('ROLLBACK')
      expect(await keys()).toEqual([])
      await client.query('BEGIN')
      const { id } = await task.applyAsync([1], { transaction: client })
      // Another call waits until the first transaction ends.
      const other = task.delay(1)
      await client.query('COMMIT')
      expect(await other).toMatchObject({ id, deduplicated: true })
      await at.work()
      expect((await at.ended(id)).state).toBe('SUCCESS')
    } finally {
      await client.end()
    }
  })

  it('holds its key while it waits for its due time', async () => {
    const task = at.app.task('later', () => 1, { unique: { forMs: 60_000 } })
    const first = await task.applyAsync([], { countdown: 1 })
    expect((await task.delay()).id).toBe(first.id)
    await at.work()
    expect((await at.ended(first.id)).state).toBe('SUCCESS')
  })
})

onEveryBroker(
  'the keys of unique tasks',
  (at) => {
    const claim = { key: 'k', id: 'a', forMs: 60_000 }

    it('are released at once if their message was certainly not sent', async () => {
      const store = createUniqueStore(at.database)
      await store.claim([claim])
      await store.notSent([claim], true)
      expect(await store.claim([{ ...claim, id: 'b' }])).toEqual([{ id: 'b', taken: true }])
    })

    it('go to the next call, which uses the same id, if nobody knows whether the first message was sent', async () => {
      const store = createUniqueStore(at.database)
      await store.claim([claim])
      await store.notSent([claim], false)
      expect(await store.claim([{ ...claim, id: 'b' }])).toEqual([{ id: 'a', taken: true }])
      expect(await store.claim([{ ...claim, id: 'c' }])).toEqual([{ id: 'a', taken: false }])
    })

    it('can be claimed again by the same message, and by only one of many concurrent messages', async () => {
      const store = createUniqueStore(at.database)
      expect(await store.claim([claim])).toEqual([{ id: 'a', taken: true }])
      expect(await store.claim([claim])).toEqual([{ id: 'a', taken: true }])
      const all = await Promise.all(
        Array.from({ length: 20 }, (_, n) =>
          store.claim([
            { key: 'x', id: `x${n}`, forMs: 60_000 },
            { ...claim, id: `k${n}` },
          ]),
        ),
      )
      expect(all.filter(([x]) => x!.taken)).toHaveLength(1)
      expect(new Set(all.map(([x]) => x!.id)).size).toBe(1)
      expect(all.every(([, k]) => k!.id === 'a' && !k!.taken)).toBe(true)
    })

    it('can have any length and any characters', async () => {
      const store = createUniqueStore(at.database)
      const odd = ['x'.repeat(5000), 'x'.repeat(5001), 't \0', 't \ud800', 't \u{1F980}']
      for (const key of odd)
        expect(await store.claim([{ key, id: key.length.toString(), forMs: 60_000 }])).toMatchObject([{ taken: true }])
      for (const key of odd) expect(await store.claim([{ key, id: 'other', forMs: 60_000 }])).toMatchObject([{ taken: false }])
    })

    it('are deleted by the clean-up when they have expired', async () => {
      await at.rows(
        "INSERT INTO $unique_task (key, task_id, expires_at) SELECT 'old ' || n, 'i', now() - interval '1 day' FROM generate_series(1, 50) AS n",
      )
      await createUniqueStore(at.database).claim([claim])
      await until('they are gone', async () => (await at.rows('SELECT FROM $unique_task')).length === 1)
    })
  },
  { only: ['postgres'] },
)
