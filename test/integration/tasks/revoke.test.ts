import { expect, it } from 'vitest'
import { createRevocations } from '../../../src/database/revocations.ts'
import { silentLog } from '../../../src/log.ts'
import type { Message } from '../../../src/message/message.ts'
import { startRevocations } from '../../../src/worker/revocations.ts'
import type { Worker } from '../../../src/worker/worker.ts'
import { onEveryBroker, type TaskFixture } from '../../support/task-worker.ts'
import { until } from '../../support/until.ts'

/** A worker that receives revokes, as src/commands/worker.ts starts it. */
async function work(at: TaskFixture) {
  let worker: Worker | undefined
  const end = (matches: (message: Message) => boolean) => {
    for (const { delivery } of worker?.active() ?? [])
      if (matches(delivery.message)) worker?.terminate(delivery.message.headers.id)
  }
  const revoked = await startRevocations(createRevocations(at.database), silentLog(), end)
  worker = await at.work({ isRevoked: revoked.isRevoked })
  return { worker, stop: () => Promise.all([worker?.stop(), revoked.stop()]) }
}

onEveryBroker('a revoke', (at) => {
  it('applies to a worker that starts after the revoke', async () => {
    let runs = 0
    const task = at.app.task('tasks.count', () => ++runs)
    const unwanted = await task.delay()
    const wanted = await task.delay()
    await unwanted.revoke()
    const { stop } = await work(at)
    expect(await wanted.get({ timeoutMs: 20_000 })).toBe(1)
    expect(await at.ended(unwanted.id)).toMatchObject({ state: 'REVOKED', result: { exc_type: 'TaskRevokedError' } })
    expect(runs).toBe(1)
    await stop()
  })

  it('still applies after the worker restarts', async () => {
    const task = at.app.task('tasks.later', () => 'ran')
    const first = await work(at)
    const result = await task.applyAsync([], { countdown: 2 })
    await at.app.revoke({ ids: [result.id] })
    await first.stop()
    const { stop } = await work(at)
    expect(await at.ended(result.id)).toMatchObject({ state: 'REVOKED' })
    await stop()
  })

  it('with terminate stops a running task, and without terminate lets it finish', async () => {
    const running = new Set<string>()
    const task = at.app.task(
      'tasks.wait',
      ({ id, signal }, ms: number) =>
        new Promise<string>((resolve, reject) => {
          running.add(id)
          setTimeout(resolve, ms, 'done')
          signal.addEventListener('abort', () => reject(signal.reason))
        }),
      { bind: true },
    )
    const { stop } = await work(at)
    const [ended, left] = [await task.delay(60_000), await task.delay(500)]
    await until('both run', () => running.size === 2)
    await ended.revoke({ terminate: true })
    await left.revoke()
    expect(await at.ended(ended.id)).toMatchObject({ state: 'REVOKED', result: { exc_message: ['terminated'] } })
    expect(await left.get({ timeoutMs: 10_000 })).toBe('done')
    await stop()
  })

  it('of a task name applies to all messages that were sent before the revoke, and to no later message', async () => {
    const spam = at.app.task('tasks.spam', (n: number) => n)
    const other = at.app.task('tasks.other', () => 'ran')
    const before = await Promise.all([1, 2, 3].map((n) => spam.delay(n)))
    const untouched = await other.delay()
    await at.app.revoke({ task: 'tasks.spam' })
    await new Promise((resolve) => setTimeout(resolve, 5)) // The ids of tasks hold milliseconds.
    const after = await spam.delay(4)
    const { stop } = await work(at)
    expect(await after.get({ timeoutMs: 20_000 })).toBe(4)
    expect(await untouched.get({ timeoutMs: 20_000 })).toBe('ran')
    for (const { id } of before) expect(await at.ended(id)).toMatchObject({ state: 'REVOKED' })
    await stop()
  })

  it('calls the errback of the task and fails its chord', async () => {
    const { chord } = await import('../../../src/app/canvas/canvas.ts')
    const add = at.app.task('tasks.add', (a: number, b: number) => a + b)
    const sum = at.app.task('tasks.sum', (numbers: number[]) => numbers.length)
    const result = await chord([add.s(1, 1), add.s(2, 2).set({ countdown: 3600 })], sum.s()).applyAsync()
    const { stop } = await work(at)
    const [late] = await at.rows("SELECT task_id AS id FROM $outbox WHERE due_at > now() + interval '1 minute'")
    await at.app.revoke({ ids: [String(late?.id)] })
    await expect(result.get({ timeoutMs: 20_000 })).rejects.toMatchObject({ excType: 'ChordError' })
    await stop()
  })
})

onEveryBroker(
  'the runs of a schedule',
  (at) => {
    it('are revoked by the name of the schedule unless they have ended', async () => {
      await at.rows(
        `INSERT INTO $schedule (name, task, kind, every, period, anchor) VALUES ('hourly', 'tasks.tick', 'interval', 1, 'hours', now())`,
      )
      const { id } = await at.app.sendTask('tasks.tick', [], { taskId: 'tick-1', countdown: 3600 })
      await at.rows(
        `INSERT INTO $schedule_run (schedule_id, tick, reason, task_id, outcome, schedule_name, task, host)
         SELECT id, now(), 'tick', 'tick-1', 'queued', name, task, 'test' FROM $schedule`,
      )
      const { stop } = await work(at)
      expect(await at.app.revoke({ schedule: 'hourly' })).toEqual([id])
      expect(await at.ended(id)).toMatchObject({ state: 'REVOKED' })
      expect(await at.app.revoke({ schedule: 'hourly' })).toEqual([])
      await expect(at.app.revoke({ schedule: 'daily' })).rejects.toMatchObject({ code: 'SCHEDULE_UNKNOWN' })
      await stop()
    })
  },
  { only: ['postgres'] },
)
