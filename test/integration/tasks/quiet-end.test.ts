import { expect, it } from 'vitest'
import { createQueueSettings } from '../../../src/database/queue-settings.ts'
import { onEveryBroker } from '../../support/task-worker.ts'

onEveryBroker(
  'a worker that is asked to end',
  (at) => {
    it('does so without a warning of Node or of a library', async () => {
      await createQueueSettings(at.database).limit('ledger', 2)
      const worker = await at.process('test/fixtures/apps/retrying.ts')
      const { id } = await at.app.sendTask('retrying.once', [0])
      await at.ended(id)
      worker.kill('SIGTERM')
      expect(await worker.exited).toBe(0)
      expect(worker.output()).toContain('worker stopped')
      expect(worker.output()).not.toContain('Warning')
    })
  },
  { queues: ['celery', 'ledger'] },
)
