import { expect, it } from 'vitest'
import { createQueueSettings } from '../../../src/database/queue-settings.ts'
import { silentLog } from '../../../src/log.ts'
import { startWorker } from '../../../src/worker/worker.ts'
import { onEveryBroker } from '../../support/task-worker.ts'
import { until } from '../../support/until.ts'

onEveryBroker(
  'a worker that is asked to stop',
  (at) => {
    it('stops without a warning of Node or of a library', async () => {
      await createQueueSettings(at.database).limit('ledger', 2)
      const worker = await at.process('test/fixtures/apps/retrying.ts')
      const { id } = await at.app.sendTask('retrying.once', [0])
      await at.ended(id)
      worker.kill('SIGTERM')
      expect(await worker.exited).toBe(0)
      expect(worker.output()).toContain('worker stopped')
      expect(worker.output()).not.toContain('Warning')
    })

    it('stops in time although a task ignores its signal and still runs', async () => {
      const worker = await at.process('test/fixtures/apps/revoked.ts', { env: { SHUTDOWN_TIMEOUT: '3' } })
      const { id } = await at.app.sendTask('revoked.deaf', [])
      await until('it runs', async () => (await at.results.find(id))?.state === 'STARTED')
      worker.kill('SIGTERM')
      expect(await worker.exited).toBe(0)
      expect(worker.output()).not.toContain('shutdown timed out')
      expect(await at.broker.depths(['celery'])).toEqual([{ queue: 'celery', ready: 1, running: 0 }])
    })
  },
  { queues: ['celery', 'ledger'] },
)

// Not on RabbitMQ, whose connection has timers of its own.
onEveryBroker(
  'a worker that has stopped',
  (at) => {
    it('leaves no timer that keeps its process alive', async () => {
      const { broker } = await at.connect()
      const timers = () => process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length
      const before = timers()
      const options = { app: at.app, broker, log: silentLog(), name: 'celery@quiet', queues: ['celery'], concurrency: 1 }
      const worker = await startWorker({ ...options, maxDeliveries: 3, graceMs: 3_600_000 })
      await worker.stop()
      expect(timers()).toBe(before)
    })
  },
  { only: ['postgres', 'redis'] },
)
