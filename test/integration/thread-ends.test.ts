import { expect, it } from 'vitest'
import { chord, group } from '../../src/app/canvas/canvas.ts'
import { onEveryBroker } from '../support/task-worker.ts'
import { until } from '../support/until.ts'

const APP = 'test/fixtures/apps/thread-ends.mjs'
const WAIT_MS = 30_000

onEveryBroker('a task in a thread', (at) => {
  const s = (name: string, ...args: unknown[]) => at.app.signature(name, args)
  const send = async (name: string, ...args: unknown[]) => (await at.app.sendTask(name, args)).id
  const ended = (id: string) => at.ended(id, WAIT_MS)
  const logsOf = (id: string) => at.rows('SELECT retries, message FROM $task_log WHERE task_id = $1 ORDER BY id', [id])

  it('can throw Ignore, Reject, Reject with requeue and Retry with the same effects as on the event loop', async () => {
    const worker = await at.process(APP, { env: { WORKER_THREADS: '1' } })
    const ignored = await send('ends.ignore')
    const rejected = await send('ends.reject')
    const requeued = await send('ends.requeue')
    const retried = await send('ends.retry')
    const auto = await send('ends.auto')
    const early = await send('ends.for-ever')
    expect(await ended(rejected)).toMatchObject({ state: 'FAILURE', result: { exc_type: 'Reject' } })
    expect(await at.rows('SELECT task, reason FROM $dead_letter')).toEqual([{ task: 'ends.reject', reason: 'not mine' }])
    expect(await ended(requeued)).toMatchObject({ state: 'SUCCESS', result: 3 })
    expect(await ended(retried)).toMatchObject({
      state: 'SUCCESS',
      result: 1,
      retries: 1,
      progress: { n: 1, of: 1, note: 'so far' },
    })
    expect(await logsOf(retried)).toEqual([
      { retries: 0, message: 'an attempt' },
      { retries: 1, message: 'an attempt' },
    ])
    expect(await ended(auto)).toMatchObject({ state: 'SUCCESS', result: 1, retries: 1 })
    expect(await ended(early)).toMatchObject({ state: 'FAILURE', result: { exc_type: 'TimeLimitExceeded' } })
    await until('ignored', () => worker.output().includes('task threw Ignore'))
    expect(await at.results.find(ignored)).toBeUndefined()
    worker.kill('SIGTERM')
    expect(await worker.exited).toBe(0)
    expect(worker.output()).toContain('exceeded its hard time limit, its thread was ended')
    expect((await at.broker.depths(['celery']))[0]).toMatchObject({ ready: 0 })
  }, 60_000)

  it('leaves no outcome when it throws Ignore in a second attempt', async () => {
    const worker = await at.process(APP, { env: { WORKER_THREADS: '1' } })
    const id = await send('ends.slow-then-ignore')
    await until('ignored', () => worker.output().includes('task threw Ignore'), WAIT_MS)
    await until('forgotten', async () => (await at.results.find(id)) === undefined, 3000)
  }, 60_000)

  it('that exceeds its hard time limit fails its chord and its group, and their errbacks run', async () => {
    await at.process(APP, { env: { WORKER_THREADS: '2' } })
    const told = (taskId: string) => s('ends.told').set({ taskId })
    const sum = at.app.task('ends.sum', (list: readonly unknown[]) => list.length)
    const body = await chord([s('ends.add', 1, 2), s('ends.for-ever')], sum.s())
      .linkError(told('of-chord'))
      .delay()
    const header = await group([s('ends.add', 1, 2), s('ends.for-ever')])
      .linkError(told('of-group'))
      .delay()
    expect(await ended(body.id)).toMatchObject({ state: 'FAILURE', result: { exc_type: 'ChordError' } })
    expect(await ended('of-chord')).toMatchObject({ result: body.id })
    expect(await ended('of-group')).toMatchObject({ result: header.results[1]!.id })
  }, 60_000)

  it('ends, like the other running tasks, before a recycled worker exits with 0', async () => {
    const worker = await at.process(APP, { args: ['--max-tasks', '3', '-c', '10'], env: { WORKER_THREADS: '2' } })
    const slow: string[] = []
    for (let n = 0; n < 4; n++) slow.push(await send('ends.nap-async', 1500))
    for (let n = 0; n < 4; n++) slow.push(await send('ends.nap', 700))
    await until('they run', async () => (await at.rows("SELECT FROM $task_result WHERE state = 'STARTED'")).length >= 6, WAIT_MS)
    for (let n = 0; n < 4; n++) await send('ends.add', 1, n)
    expect(await worker.exited).toBe(0)
    for (const id of slow) expect(await at.results.find(id)).toMatchObject({ state: 'SUCCESS' })
    expect(worker.output()).not.toContain('is requeued')
  }, 60_000)
})
