import { setTimeout as delay } from 'node:timers/promises'
import { expect, it } from 'vitest'
import { createQueueSettings } from '../../../src/database/queue-settings.ts'
import { silentLog } from '../../../src/log.ts'
import { startGatedWorker } from '../../../src/worker/queue-gate.ts'
import type { Worker } from '../../../src/worker/worker.ts'
import { onEveryBroker } from '../../support/task-worker.ts'
import { until } from '../../support/until.ts'

const QUEUES = ['celery', 'ledger'] as const
const OPTIONS = { maxDeliveries: 3, graceMs: 2000 }

onEveryBroker(
  'queues',
  (at) => {
    const workers: Worker[] = []
    const gated = async (options: { concurrency?: number; queues?: readonly string[]; name?: string } = {}) => {
      const { concurrency = 4, queues = QUEUES, name = `celery@${workers.length}` } = options
      const { database, broker } = await at.connect()
      const taking = { ...OPTIONS, app: at.app, broker, log: silentLog(), name, queues, concurrency }
      const worker = await startGatedWorker(taking, database, createQueueSettings(database))
      workers.push(worker)
      return worker
    }
    const settings = () => createQueueSettings(at.database)
    const stopAll = () => Promise.all(workers.splice(0).map((worker) => worker.stop()))
    const tidy = (work: () => Promise<void>) => async () => {
      try {
        await work()
      } finally {
        await stopAll()
      }
    }

    it(
      'can be paused and resumed, and running tasks, senders and other queues continue meanwhile',
      tidy(async () => {
        const ran: string[] = []
        let release = () => {}
        at.app.task('held', () => new Promise<string>((resolve) => (release = () => resolve('held'))), { queue: 'ledger' })
        at.app.task('note', (text: string) => void ran.push(text), { queue: 'ledger' })
        at.app.task('other', () => void ran.push('other'))
        await gated({ concurrency: 2 })
        const held = await at.app.sendTask('held', [])
        await until('held runs', async () => (await held.state()) === 'STARTED')
        await settings().pause('ledger')
        await until('the queue is left', () => workers[0]!.active().length === 1)
        // Within a second of the change no message is taken any more.
        await delay(1000)
        const note = await at.app.sendTask('note', ['a'])
        await at.ended((await at.app.sendTask('other', [])).id)
        release()
        expect((await at.ended(held.id)).state).toBe('SUCCESS')
        await delay(300)
        expect(ran).toEqual(['other'])
        expect(await note.state()).toBe('PENDING')
        await settings().resume('ledger')
        await at.ended(note.id)
        expect(ran).toEqual(['other', 'a'])
      }),
    )

    it(
      'deliver no messages to a worker that starts while the queues are paused',
      tidy(async () => {
        at.app.task('note', () => 1)
        await settings().pause('celery')
        await gated()
        const { id } = await at.app.sendTask('note', [])
        await delay(400)
        expect(await at.app.asyncResult(id).state()).toBe('PENDING')
        await settings().resume('celery')
        expect((await at.ended(id)).state).toBe('SUCCESS')
      }),
    )

    it(
      'never run more tasks at once than their limit, counted over all workers',
      tidy(async () => {
        let now = 0
        let most = 0
        at.app.task(
          'count',
          async () => {
            most = Math.max(most, ++now)
            await delay(20)
            now--
          },
          { queue: 'ledger' },
        )
        await settings().limit('ledger', 3)
        await Promise.all([gated(), gated(), gated()])
        const runs = await at.app.enqueue(Array.from({ length: 40 }, () => ({ task: 'count' })))
        for (const { id } of runs) await at.ended(id)
        expect(most).toBe(3)
        await settings().limit('ledger', null)
        const more = await at.app.enqueue(Array.from({ length: 60 }, () => ({ task: 'count' })))
        for (const { id } of more) await at.ended(id)
        expect(most).toBeGreaterThan(3)
      }),
    )

    it(
      'with a limit of 1 run their tasks one after the other in order, even if some tasks are slow',
      tidy(async () => {
        const ran: number[] = []
        let now = 0
        at.app.task(
          'entry',
          async (n: number) => {
            expect(++now).toBe(1)
            await delay(n % 7 === 0 ? 400 : 2)
            ran.push(n)
            now--
          },
          { queue: 'ledger' },
        )
        await settings().limit('ledger', 1)
        await Promise.all([gated(), gated()])
        const runs = await at.app.enqueue(Array.from({ length: 30 }, (_, n) => ({ task: 'entry', args: [n] })))
        for (const { id } of runs) expect((await at.ended(id)).state).toBe('SUCCESS')
        expect(ran).toEqual(Array.from({ length: 30 }, (_, n) => n))
      }),
    )

    it(
      'with a limit of 1 run their tasks in order in another worker when their worker stops',
      tidy(async () => {
        const ran: number[] = []
        at.app.task(
          'entry',
          async (n: number) => {
            await delay(30)
            ran.push(n)
          },
          { queue: 'ledger' },
        )
        await settings().limit('ledger', 1)
        await gated()
        const runs = await at.app.enqueue(Array.from({ length: 20 }, (_, n) => ({ task: 'entry', args: [n] })))
        await until('some have run', () => ran.length > 3)
        await gated()
        await workers[0]!.stop()
        for (const { id } of runs) await at.ended(id)
        expect(ran).toEqual(Array.from({ length: 20 }, (_, n) => n))
      }),
    )

    it(
      'with a limit of 1 keep their order when the connection that holds their slot breaks repeatedly',
      tidy(async () => {
        const ran: number[] = []
        let now = 0
        let most = 0
        const entry = async (n: number) => {
          most = Math.max(most, ++now)
          await delay(20)
          ran.push(n)
          now--
        }
        at.app.task('entry', entry, { queue: 'ledger' })
        await settings().limit('ledger', 1)
        await Promise.all([gated(), gated()])
        const runs = await at.app.enqueue(Array.from({ length: 60 }, (_, n) => ({ task: 'entry', args: [n] })))
        for (const count of [5, 20, 40]) {
          await until(`${count} have run`, () => ran.length >= count)
          await at.rows(
            `SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory'
               AND classid = (hashtext($1)::bigint & 4294967295)::oid`,
            [`${at.schema.schema}.queue.ledger`],
          )
        }
        for (const { id } of runs) await at.ended(id)
        expect(most).toBe(1)
        expect([...new Set(ran)]).toEqual(Array.from({ length: 60 }, (_, n) => n))
      }),
    )

    it(
      'can be added to a worker and removed from a worker by remote control, whether the queues are paused or not',
      tidy(async () => {
        at.app.task('note', () => 1)
        const worker = await gated({ queues: [] })
        await settings().pause('celery')
        await worker.reconfigure({ queues: ['celery'] })
        expect(worker.queues).toEqual(['celery'])
        const { id } = await at.app.sendTask('note', [])
        await settings().resume('celery')
        await at.ended(id)
        await settings().limit('celery', 1)
        await at.ended((await at.app.sendTask('note', [])).id)
        await worker.reconfigure({ queues: [] })
        await until('the queue is left', async () => (await at.broker.depths(['celery']))[0]?.running === 0)
        const left = await at.app.sendTask('note', [])
        await delay(700)
        expect(await left.state()).toBe('PENDING')
      }),
    )
  },
  { queues: QUEUES },
)
