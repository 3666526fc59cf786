import { Client } from 'pg'
import { expect, it } from 'vitest'
import { onEveryBroker } from '../../support/task-worker.ts'

onEveryBroker('many calls at once', (at) => {
  it('are sent in one round trip, and a thousand calls return their results in order', async () => {
    const square = at.app.task('square', (x: number) => x * x)
    const results = await at.app.enqueue(Array.from({ length: 1000 }, (_, x) => ({ task: square, args: [x] as [number] })))
    await at.work({ concurrency: 50 })
    const values = await Promise.all(results.map((result) => result.get({ timeoutMs: 20_000 })))
    expect(values).toEqual(Array.from({ length: 1000 }, (_, x) => x * x))
  })

  it('keep their order and their own due times while they wait in the outbox together', async () => {
    const ran: string[] = []
    at.app.task('note', (text: string) => void ran.push(text))
    const note = (text: string, options: { countdown?: number; eta?: Date } = {}) => ({ task: 'note', args: [text], options })
    const results = await at.app.enqueue([
      note('later', { countdown: 1 }),
      note('first'),
      note('second'),
      note('third', { eta: new Date(Date.now() - 1000) }),
      note('long ago', { eta: new Date('2001-01-01') }),
    ])
    await at.work({ concurrency: 1 })
    for (const { id } of results) await at.ended(id)
    expect(ran).toEqual(['long ago', 'third', 'first', 'second', 'later'])
  })

  it('are sent together if their transaction commits, and not at all if it rolls back', async () => {
    at.app.task('note', () => 1)
    const client = new Client({ connectionString: at.schema.url })
    await client.connect()
    try {
      for (const end of ['ROLLBACK', 'COMMIT']) {
        await client.query('BEGIN')
        await at.app.enqueue([{ task: 'note' }, { task: 'note', options: { countdown: 1 } }], { transaction: client })
        await client.query(end)
      }
    } finally {
      await client.end()
    }
    expect(await at.rows('SELECT FROM $outbox')).toHaveLength(2)
  })
})

onEveryBroker(
  'a countdown',
  (at) => {
    it('follows the clock of the database, not the clocks of the sender and the worker', async () => {
      const ran: number[] = []
      at.app.task('later', () => void ran.push(performance.now()))
      const sentAt = performance.now()
      // Sent as from a host whose clock is an hour ahead. Its eta is wrong, but the countdown is right.
      const message = at.app.message('later', [], { eta: new Date(Date.now() + 3_600_000) })
      const { keepManyInOutbox } = await import('../../../src/database/outbox.ts')
      await keepManyInOutbox(at.database, [{ message, due: { afterSeconds: 0.5 } }])
      await at.work()
      await at.ended(message.headers.id)
      expect(ran[0]! - sentAt).toBeGreaterThan(450)
      expect(ran[0]! - sentAt).toBeLessThan(10_000)
    })
  },
  { only: ['postgres', 'redis'] },
)
