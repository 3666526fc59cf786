import { expect, it } from 'vitest'
import { onEveryBroker } from '../support/task-worker.ts'
import { until } from '../support/until.ts'

const APP = 'test/fixtures/apps/thread-app.mjs'
/** Processes and threads start slowly on a busy machine. Milliseconds. */
const WAIT_MS = 30_000

onEveryBroker('tasks on the event loop and in threads', (at) => {
  const send = async (name: string, args: unknown[] = [], options = {}) => (await at.app.sendTask(name, args, options)).id
  const ended = (id: string) => at.ended(id, WAIT_MS)

  it('a task of a worker with --pool thread computes outside the event loop, can send tasks and can wait for results', async () => {
    await at.process(APP, { args: ['--pool', 'thread'] })
    const first = await send('thread.add', [1, 2])
    expect(await ended(await send('thread.where'))).toMatchObject({ result: { isMainThread: false } })
    expect(await ended(await send('thread.get', [first]))).toMatchObject({ result: { value: 3 } })
    const sent = (await ended(await send('thread.send'))).result as string[]
    expect(await ended(sent[1] ?? '')).toMatchObject({ state: 'SUCCESS', result: 7 })
    expect(await ended(await send('thread.group'))).toMatchObject({ state: 'SUCCESS', result: [3, 7] })
  })

  it('a thread ends if its task exceeds its hard time limit or is revoked, or if its worker ends', async () => {
    const worker = await at.process(APP, { args: ['--pool', 'thread', '-c', '2'], env: { SHUTDOWN_TIMEOUT: '3' } })
    const limited = await send('thread.for-ever', [], { timeLimit: 1 })
    expect(await ended(limited)).toMatchObject({ state: 'FAILURE', result: { exc_type: 'TimeLimitExceeded' } })
    const revoked = await send('thread.for-ever')
    await until('it runs', async () => (await at.results.find(revoked))?.state === 'STARTED', WAIT_MS)
    await at.app.asyncResult(revoked).revoke({ terminate: true })
    expect(await ended(revoked)).toMatchObject({ state: 'REVOKED' })
    expect(await ended(await send('thread.add', [1, 2]))).toMatchObject({ result: 3 })
    const endless = await send('thread.for-ever')
    await until('it runs', async () => (await at.results.find(endless))?.state === 'STARTED', WAIT_MS)
    worker.kill('SIGTERM')
    expect(await worker.exited).toBe(0)
    expect(worker.output()).toContain('task did not finish before the worker stopped, so it is requeued')
  })

  it('a task that kills its thread each time is stored as WorkerLostError, and its worker continues', async () => {
    const worker = await at.process(APP, { args: ['--pool', 'thread'] })
    const poison = await ended(await send('thread.exit', [3]))
    expect(poison).toMatchObject({ state: 'FAILURE', result: { exc_type: 'WorkerLostError' } })
    expect(worker.output().match(/thread of the task died.*exitcode 3/g)).toHaveLength(3)
    expect(await ended(await send('thread.add', [1, 2]))).toMatchObject({ result: 3 })
  })

  it('a task that blocks the event loop ends with an outcome and its effects, and its worker is killed', async () => {
    const worker = await at.process(APP)
    const told = await at.app.signature('thread.told').set({ taskId: 'told' })
    const { id } = await at.app.signature('thread.for-ever').set({ timeLimit: 1 }).linkError(told).delay()
    expect(await ended(id)).toMatchObject({ state: 'FAILURE', result: { exc_type: 'TimeLimitExceeded' } })
    expect(await worker.exited).toBeNull()
    expect(worker.output()).toContain('task blocks the event loop past its hard time limit')
    const next = await at.process(APP)
    expect(await ended('told')).toMatchObject({ state: 'SUCCESS', result: id })
    await until('acknowledged', () => next.output().includes('message acknowledged without running'), WAIT_MS)
  })

  it('a worker that has run --max-tasks tasks finishes its running tasks, requeues its waiting tasks and exits with 0', async () => {
    const worker = await at.process(APP, { args: ['--max-tasks', '2', '-c', '2'] })
    const slow = await send('thread.nap', [1500])
    await until('it runs', async () => (await at.results.find(slow))?.state === 'STARTED', WAIT_MS)
    const quick = [await send('thread.add', [1, 1]), await send('thread.add', [2, 2])]
    await Promise.all(quick.map(ended))
    const rest = await send('thread.add', [3, 3])
    expect(await worker.exited).toBe(0)
    expect(worker.output()).toMatch(/worker reached its recycling limit.*why="2 tasks"/)
    expect(await ended(slow)).toMatchObject({ state: 'SUCCESS', result: 1500 })
    await at.process(APP)
    expect(await ended(rest)).toMatchObject({ result: 6 })
  })

  it('a worker that is above its memory limit after a task exits with 0', async () => {
    const worker = await at.process(APP, { args: ['--max-memory', '20'] })
    await send('thread.add', [1, 1])
    expect(await worker.exited).toBe(0)
    expect(worker.output()).toMatch(/worker reached its recycling limit.*MB of 20/)
  })
})

onEveryBroker(
  'the heap of a thread',
  (at) => {
    it('has the limit of WORKER_THREAD_MEMORY, and the heap of the main thread has the limit of NODE_OPTIONS', async () => {
      const env = { NODE_OPTIONS: '--max-old-space-size=200 --max-semi-space-size=2', WORKER_THREAD_MEMORY: '40' }
      await at.process(APP, { args: ['--pool', 'thread'], env })
      const heap = async (name: string) => Number((await at.ended((await at.app.sendTask(name, [])).id, WAIT_MS)).result)
      const thread = await heap('thread.heap')
      const main = await heap('main.heap')
      expect(thread).toBeGreaterThanOrEqual(40)
      expect(thread).toBeLessThan(120)
      expect(main).toBeGreaterThanOrEqual(200)
      expect(main).toBeLessThan(280)
    })
  },
  { only: ['postgres'] },
)
