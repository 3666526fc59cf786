import { expect, it } from 'vitest'
import { createQueueSettings } from '../../../src/database/queue-settings.ts'
import { onEveryBroker, type TaskFixture } from '../../support/task-worker.ts'
import { until } from '../../support/until.ts'

interface Case {
  readonly where: string
  readonly task: string
  readonly options?: { readonly countdown?: number; readonly queue?: string }
  /** The state to wait for before the revoke. */
  readonly state: 'STARTED' | 'RETRY' | undefined
  readonly terminate?: boolean
}

const CASES: readonly Case[] = [
  { where: 'in the outbox', task: 'revoked.quick', options: { countdown: 3600 }, state: undefined },
  { where: 'between two attempts', task: 'revoked.retries', state: 'RETRY' },
  { where: 'while it runs and stops on its signal', task: 'revoked.minds', state: 'STARTED', terminate: true },
  { where: 'while it runs and ignores its signal', task: 'revoked.deaf', state: 'STARTED', terminate: true },
  { where: 'while it computes in a thread', task: 'revoked.computes', state: 'STARTED', terminate: true },
  {
    where: 'while it runs in a queue that keeps the order',
    task: 'revoked.deaf',
    options: { queue: 'ledger' },
    state: 'STARTED',
    terminate: true,
  },
]

const OPTIONS = { queues: ['celery', 'ledger'] }

onEveryBroker(
  'a task that is revoked',
  (at) => {
    const start = async (env: Record<string, string> = {}) => {
      await createQueueSettings(at.database).limit('ledger', 1)
      return at.process('test/fixtures/apps/revoked.ts', { env })
    }

    it.each(CASES)(
      '$where is stored as REVOKED, and its unique key is released',
      async ({ task, options, state, terminate = false }) => {
        await start()
        const same = at.app.task(task, () => {}, { unique: { forMs: 3_600_000 } })
        const run = await same.applyAsync([], options)
        if (state !== undefined) await until('it is there', async () => (await at.results.find(run.id))?.state === state)
        await run.revoke({ terminate })
        expect(await at.ended(run.id)).toMatchObject({ state: 'REVOKED', result: { exc_type: 'TaskRevokedError' } })
        expect(await at.rows('SELECT FROM $unique_task')).toEqual([])
        expect(await at.rows('SELECT FROM $outbox')).toEqual([])
        await isFree(at, options?.queue)
      },
    )

    it('does not start if a worker has claimed it but not started it', async () => {
      await start({ CONCURRENCY: '1' })
      const queues = ['celery', 'ledger']
      const running = await Promise.all(queues.map((queue) => at.app.sendTask('revoked.minds', [], { queue })))
      for (const { id } of running) await until('it runs', async () => (await at.results.find(id))?.state === 'STARTED')
      const waiting = await Promise.all(queues.map((queue) => at.app.sendTask('revoked.deaf', [], { queue })))
      await at.app.revoke({ ids: waiting.map(({ id }) => id) })
      await at.app.revoke({ ids: running.map(({ id }) => id) }, { terminate: true })
      for (const { id } of [...running, ...waiting]) expect(await at.ended(id)).toMatchObject({ state: 'REVOKED' })
      expect(await at.rows('SELECT FROM $task_result WHERE started_at IS NOT NULL')).toHaveLength(2)
      for (const queue of queues) await isFree(at, queue)
    })
  },
  OPTIONS,
)

/** Checks that another task gets the slot. */
async function isFree(at: TaskFixture, queue = 'celery'): Promise<void> {
  expect(await (await at.app.sendTask('revoked.quick', [], { queue })).get({ timeoutMs: 20_000 })).toBe('ran')
}
