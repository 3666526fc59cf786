import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, it } from 'vitest'
import { createQueueSettings } from '../../../src/database/queue-settings.ts'
import { onEveryBroker } from '../../support/task-worker.ts'
import { until } from '../../support/until.ts'

const APP = 'test/fixtures/apps/ordered.ts'
const folder = mkdtempSync(join(tmpdir(), 'onedyno-ordered-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

onEveryBroker(
  'a queue with a limit of 1',
  (at) => {
    it('keeps its order when its worker is killed, and continues in another worker', async () => {
      const file = join(folder, at.schema.schema)
      const lines = () => (existsSync(file) ? readFileSync(file, 'utf8').trimEnd().split('\n') : [])
      const processes = [await at.process(APP), await at.process(APP)]
      // The application declares the limit, and the first worker that starts has stored it.
      expect(await createQueueSettings(at.database).all()).toEqual([{ name: 'ledger', paused: false, concurrency: 1 }])
      const runs = await at.app.enqueue(
        Array.from({ length: 12 }, (_, n) => ({
          task: 'entry',
          args: [file, n, n === 4 ? 700 : 20],
          options: { queue: 'ledger' },
        })),
      )
      const begun = await until('the fifth runs', () => lines().find((line) => line.startsWith('begin 4 ')))
      // A task that has ended and is not stored yet runs again, as always.
      await at.ended(runs[3]!.id)
      const holder = processes.find(({ pid }) => begun.endsWith(` ${pid}`))!
      holder.kill('SIGKILL')
      const killedAt = performance.now()
      const again = await until('it runs again', () => lines().filter((line) => line.startsWith('begin 4 '))[1])
      expect(again).not.toBe(begun)
      // A dead worker of Redis is known by its lease of three seconds (redis-worker.ts).
      expect(performance.now() - killedAt).toBeLessThan(at.kind === 'redis' ? 6000 : 2000)
      for (const { id } of runs) expect((await at.ended(id)).state).toBe('SUCCESS')
      const expected = Array.from({ length: 12 }, (_, n) => [`begin ${n}`, ...(n === 4 ? ['begin 4'] : []), `end ${n}`]).flat()
      expect(lines().map((line) => line.split(' ', 2).join(' '))).toEqual(expected)
    })
  },
  { queues: ['celery', 'ledger'] },
)
