import { expect, it } from 'vitest'
import { onEveryBroker } from '../../support/task-worker.ts'

onEveryBroker(
  'routes',
  (at) => {
    it('send tasks to the workers of their queues', async () => {
      at.app.task('feeds.fetch', () => 'feeds')
      at.app.task('mail.send', () => 'mail')
      at.app.route({
        'feeds.*': { queue: 'feeds', priority: 5 },
        'mail.*': (_name, [to]) => ({ queue: to === 'boss' ? 'feeds' : 'celery' }),
      })
      await at.work({ queues: ['feeds'] })
      const [fetched, urgent, patient] = await at.app.enqueue([
        { task: 'feeds.fetch' },
        { task: 'mail.send', args: ['boss'] },
        { task: 'mail.send', args: ['me'] },
      ])
      expect(await at.ended(fetched.id)).toMatchObject({ queue: 'feeds' })
      expect(await at.ended(urgent.id)).toMatchObject({ queue: 'feeds' })
      expect(await at.broker.depths(['celery'])).toMatchObject([{ ready: 1 }])
      await at.work({ queues: ['celery'] })
      expect(await at.ended(patient.id)).toMatchObject({ queue: 'celery' })
    })
  },
  { queues: ['celery', 'feeds'] },
)
