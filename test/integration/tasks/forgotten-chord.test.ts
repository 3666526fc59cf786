import { expect, it } from 'vitest'
import { chord } from '../../../src/app/canvas/canvas.ts'
import { cleanUp } from '../../../src/database/clean-up.ts'
import type { Log } from '../../../src/log.ts'
import { onEveryBroker } from '../../support/task-worker.ts'
import { until } from '../../support/until.ts'
import { composable } from './compositions.ts'

const WAIT = { timeoutMs: 15_000 }
const DAY = 86_400

onEveryBroker(
  'a chord whose members were purged',
  (at) => {
    it('fails after seven days: its body is stored as FAILURE, its errback is called, and a log line names the chord', async () => {
      const { add, sum, note, runs } = composable(at.app)
      const result = await chord([add.s(1, 2), add.s(3, 4)], sum.s())
        .linkError(note.s())
        .delay()
      // Chords go through the outbox where the broker is outside of the database.
      while ((await at.broker.relayDue(10)).moved > 0);
      expect(await at.broker.purge('celery')).toBe(2)

      const said: unknown[] = []
      const log = { error: (...words: unknown[]) => void said.push(words) } as unknown as Log
      await cleanUp(at.database, DAY, { log })
      expect(await result.state()).toBe('PENDING')
      await at.rows(`UPDATE $chord SET created_at = now() - interval '8 days'`)
      await cleanUp(at.database, DAY, { log })

      const [{ id }] = (await at.rows('SELECT id FROM $task_group')) as [{ id: string }]
      await expect(result.get(WAIT)).rejects.toMatchObject({
        excType: 'ChordError',
        message: expect.stringMatching(/Dependency \S+ did not end, the chord had no activity for 7 days \(2 members missing\)/),
      })
      expect(said).toMatchObject([[{ chord: id, remaining: 2, days: 7 }, expect.stringContaining('chord given up')]])
      expect(await at.rows('SELECT id FROM $chord')).toEqual([])
      await at.work()
      await until('the errback', () => runs.length > 0)
      expect(runs).toEqual([['note', result.id]])
    })

    it('does not fail while some of its members still end', async () => {
      const { add, sum } = composable(at.app)
      const held = at.app.task('held', () => 4, { queue: 'later' })
      const worker = await at.work({ queues: ['celery'] })
      const result = await chord([add.s(1, 2), held.s()], sum.s()).delay()
      await until('one of two has ended', async () => (await at.rows('SELECT FROM $chord WHERE remaining = 1')).length === 1)
      await at.rows(`UPDATE $chord SET created_at = now() - interval '8 days'`)
      await at.rows(
        `UPDATE $task_result SET done_at = now() - interval '6 days', created_at = now() - interval '8 days', started_at = NULL`,
      )
      await cleanUp(at.database, DAY)
      await worker.stop()
      await at.work({ queues: ['celery', 'later'] })
      expect(await result.get(WAIT)).toBe(7)
    })
  },
  { queues: ['celery', 'later'] },
)
